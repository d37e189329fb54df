"""The registry itself (see the package), what operators decide about sources, and work for the leader.

Work is asked of the leader from any node: it is written to the store, and waited for here.
"""

import asyncio
import contextlib
import copy
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import msgspec

from ddnsd.model.audit import Author
from ddnsd.model.records import Entry, HeldDeletions, Resource, Source, Work, WorkRequest, revision_of
from ddnsd.model.resources import MADE_SECRET_LENGTH, Kind, Spec
from ddnsd.model.state import State
from ddnsd.service.archive import Archive, Export
from ddnsd.service.documents import Document, read_new_token
from ddnsd.service.registry import rules
from ddnsd.service.registry.bulk import apply, read_documents, restore
from ddnsd.service.registry.results import (
    Applied,
    NotFoundError,
    PreconditionFailedError,
    RefusedError,
    Restored,
    Result,
    StoreFailedError,
    store_failures,
)
from ddnsd.service.registry.rules import Deleted
from ddnsd.service.registry.transaction import Auditor, RegistryCommits, RegistryTransaction
from ddnsd.service.source_status import SourceStatus, source_status
from ddnsd.service.status import HistoryItem, Page, history, whose
from ddnsd.store import keys
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import Done, Outcome, StoreError
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import Touched, WatchCache


class Sources:
    """The names of Kubernetes clusters on this store.

    All methods raise `StoreFailedError` if the store cannot do it; those that name a source `NotFoundError`
    if it is not bound.
    """

    def __init__(self, commits: RegistryCommits) -> None:
        self._commits = commits

    async def list(self) -> Mapping[str, SourceStatus]:
        """Return all sources by name, those that are released and have left something too."""
        return await source_status((await self._commits.read()).state)

    async def takeover(self, name: str) -> Source:
        """Bind a name to the Namespace that has claimed it; return the new binding.

        Where none has, and its objects name another installation, this one replaces that.

        Raises:
            RefusedError: neither is so.
        """

        def decide(draft: RegistryTransaction, source: Source) -> Source:
            if not source.claimant and source.other_installation:
                bound = msgspec.structs.replace(
                    source, other_installation="", replaced_installation=source.other_installation
                )
                draft.put_source(name, bound)
                return bound
            if not source.claimant:
                remedy = "start the controller that shall have it, then repeat this"
                raise RefusedError(f"nobody has asked for source {name}: {remedy}")
            bound = Source(source.claimant, draft.now)
            draft.put_source(name, bound)
            return bound

        return await self._change(name, decide)

    async def release(self, name: str) -> Source:
        """Free a name and all that was written under it, which stays as it is; return the old binding."""

        def decide(draft: RegistryTransaction, source: Source) -> Source:
            draft.drop_source(name)
            return source

        return await self._change(name, decide)

    async def prune(self, name: str) -> HeldDeletions:
        """Allow the deletions that a source's controller holds now; return them.

        Raises:
            RefusedError: it holds none.
        """

        def decide(draft: RegistryTransaction, source: Source) -> Source:
            if source.held is None:
                raise RefusedError(f"source {name} holds no deletions")
            allowed = msgspec.structs.replace(source, pruned=source.held.id)
            if allowed != source:
                draft.put_source(name, allowed)
            return allowed

        held = (await self._change(name, decide)).held
        assert held is not None
        return held

    async def _change(self, name: str, decide: Callable[[RegistryTransaction, Source], Source]) -> Source:
        def decide_on_bound(draft: RegistryTransaction) -> Source:
            source = draft.source(name)
            if source is None:
                raise NotFoundError(f"there is no source {name[:80]!r} that is bound")
            return decide(draft, source)

        decided, _ = await self._commits.take(decide_on_bound)
        return decided


class WorkDesk:
    """Takes requests of work and waits for their end."""

    def __init__(self, cache: WatchCache, commits: GroupCommit, timeout: float) -> None:
        """`timeout` bounds each answer of the store, in seconds."""
        self._cache = cache
        self._commits = commits
        self._timeout = timeout
        self._waiters: dict[str, asyncio.Event] = {}
        cache.subscribe(self._look, (keys.REQUESTS,))

    def reconfigure(self, timeout: float) -> None:
        """Bound it by another time, in seconds, from now on."""
        self._timeout = timeout

    async def request(self, zone: str, work: Work, *, adopt: bool = False) -> str:
        """Ask for work on a zone; return the request's id. `adopt`: see `WorkRequest`.

        Raises:
            NotFoundError: nothing is, or was, published there.
            StoreFailedError: perhaps not asked.
        """
        with store_failures("do it"):
            await self._cache.current()
            state = self._cache.state
            if zone not in state.zones and not any(state.placements.of(zone)):
                raise NotFoundError(f"there is no Zone {zone}")
            id = secrets.token_hex(9)
            asked = WorkRequest(work, zone, datetime.now(UTC), adopt=adopt)
            outcome = await self._commit(Transaction().replace(keys.request(id), None, asked))
        if not isinstance(outcome, Done):
            raise StoreFailedError("the store's answer was lost: try again")
        return id

    async def finished(self, id: str, timeout: float) -> WorkRequest | None:
        """Wait for the end of a request, and clear it away; None if it takes longer than `timeout` seconds.

        Raises:
            NotFoundError: there is no such request (any more).
            StoreFailedError: the store cannot be read.
        """
        woken = self._waiters[id] = asyncio.Event()
        try:
            with store_failures("be read"):
                async with asyncio.timeout(timeout):
                    await self._cache.current()
                    while (entry := self._entry(id)).value.finished is None:
                        woken.clear()
                        await woken.wait()
        except TimeoutError:
            return None
        finally:
            del self._waiters[id]
        await self._clear(entry)
        return entry.value

    def _entry(self, id: str) -> Entry[WorkRequest]:
        entry = self._cache.state.requests.get(id)
        if entry is None:
            raise NotFoundError(f"there is no request {id}")
        return entry

    def _look(self, touched: Sequence[Touched]) -> None:
        if self._waiters:
            for place in touched:
                if place.shelf == keys.REQUESTS and isinstance(place.id, str) and place.id in self._waiters:
                    self._waiters[place.id].set()

    async def _clear(self, entry: Entry[WorkRequest]) -> None:
        """Delete a finished request; one that stays is the leader's to clear away."""
        with contextlib.suppress(StoreError):
            await self._commit(Transaction().expect(entry.key, entry).delete(entry.key))

    async def _commit(self, transaction: Transaction) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._commits.commit(transaction.update())
        except TimeoutError as error:
            raise StoreFailedError(f"the store did not answer in {self._timeout:g} s: try again") from error


ANY: Final = "*"
Precondition = int | Literal["*"] | None  # the revision that the caller expects, any one, or no matter


class PutResult(NamedTuple):
    """What came of a put, the resource's revision after it, and what its writer should know all the same."""

    result: Result
    revision: int
    warning: str = ""


class Registry:
    """The resources of the installation. Every answer is linearizable.

    All methods raise `StoreFailedError` if the store cannot do it.
    """

    def __init__(
        self, cache: WatchCache, commits: GroupCommit, *, nameservers: Collection[str], timeout: float
    ) -> None:
        """`nameservers` are the names that a zone may refer to; `timeout` bounds a change, in seconds."""
        self._nameservers = frozenset(nameservers)
        self._commits = RegistryCommits(cache, commits, timeout)
        self.sources = Sources(self._commits)
        self.work = WorkDesk(cache, commits, timeout)

    def reconfigure(self, *, nameservers: Collection[str], timeout: float) -> None:
        """Judge by these from now on; arguments as of the constructor."""
        self._nameservers = frozenset(nameservers)
        self._commits.reconfigure(timeout)
        self.work.reconfigure(timeout)

    def by(self, author: Author) -> "Registry":
        """Return the same, whose changes are this author's."""
        registry = copy.copy(self)
        registry._commits = self._commits.audited(Auditor(author))
        registry.sources = Sources(registry._commits)
        return registry

    @property
    def state(self) -> State:
        """The state as of the newest answer, or newer."""
        return self._commits.cache.state

    async def list(self, kind: Kind, limit: int, cursor: str = "") -> Page[tuple[str, Entry[Resource[Spec]]]]:
        """Return at most `limit` resources whose names come after the cursor, in the order of the names."""
        table = (await self._commits.read()).state.resources(kind)
        names = table.after(cursor, limit + 1)
        more = len(names) > limit
        items = tuple((name, table[name]) for name in names[:limit])
        return Page(items, items[-1][0] if more and items else "")

    async def get(self, kind: Kind, name: str) -> Entry[Resource[Spec]]:
        """Return a resource.

        Raises:
            NotFoundError: there is none.
        """
        return _existing((await self._commits.read()).state, kind, name)

    async def put(self, document: Document, if_match: Precondition = None) -> PutResult:
        """Create or change a resource.

        Raises:
            InvalidDocumentError: it refers to what is not there.
            RefusedError: other resources stand in the way.
            PreconditionFailedError: it is not at the revision expected.
        """

        def decide(draft: RegistryTransaction) -> PutResult:
            entry = draft.state.resources(document.kind).get(document.name)
            _check(entry, if_match)
            result = rules.put(draft, document, self._nameservers)
            return PutResult(result, revision_of(entry), draft.warning(document.name))

        put, revision = await self._commits.take(decide)
        return put._replace(revision=revision or put.revision)

    async def delete(
        self, kind: Kind, name: str, if_match: Precondition = None, *, cascade: bool = False
    ) -> Deleted:
        """Delete a resource; with `cascade`, the hosts of an account or zone too.

        Tokens go with their account. It may take several commits; if it ends early, deleting
        again goes on.

        Raises:
            NotFoundError: there is none.
            RefusedError: it has hosts, and `cascade` was not asked for.
            PreconditionFailedError: it is not at the revision expected.
        """

        def decide(draft: RegistryTransaction) -> Deleted:
            entry = _existing(draft.state, kind, name)
            _check(entry, if_match)
            return rules.delete(draft, kind, name, entry.value, cascade=cascade, writer=None)

        gone, _ = await self._commits.take(decide)
        return gone if gone.done else await self._finish_deletion(kind, name, gone)

    async def _finish_deletion(self, kind: Kind, name: str, gone: Deleted) -> Deleted:
        """Go on with a deletion that one commit could not hold, until it is done or was taken back."""

        def decide(draft: RegistryTransaction) -> Deleted:
            entry = draft.state.resources(kind).get(name)
            if entry is None:
                return Deleted(0, 0, done=True)  # somebody else has finished it
            return rules.delete(draft, kind, name, entry.value, cascade=False, writer=None)

        while not gone.done:
            more, _ = await self._commits.take(decide)
            gone = Deleted(gone.hosts + more.hosts, gone.tokens + more.tokens, more.done)
        return gone

    async def apply(self, raws: Sequence[object]) -> Applied:
        """Apply many documents, given as plain JSON values; see `bulk.apply`."""
        return await apply(self._commits, await read_documents(raws), self._nameservers)

    async def export(self) -> Export:
        """Return all resources and their addresses, as they are at the newest revision."""
        state = (await self._commits.read()).state
        return Export(state, self._commits.cache.revision, datetime.now(UTC))

    async def history(
        self, who: str, limit: int, cursor: str = "", *, audit: Sequence[HistoryItem] = ()
    ) -> Page[HistoryItem]:
        """Return changes, the newest first: of a host, of an account's hosts, of all ("").

        At most `limit`, and only what comes after the cursor; the `audit` that names the host among them.

        Raises:
            NotFoundError: there is no such host or account, and there was no such host.
        """
        state = (await self._commits.read()).state
        hosts = whose(state, who)
        if hosts is None and not audit:
            raise NotFoundError(f"there is no Host or Account {who[:80]!r}")
        return await history(state, hosts or (), limit, cursor, more=audit)

    async def restore(self, archive: Archive) -> Restored:
        """Put an archive into this installation; see `bulk.restore`."""
        return await restore(self._commits, archive, self._nameservers)

    async def create_token(self, raw: object, length: int = MADE_SECRET_LENGTH) -> tuple[Document, int, str]:
        """Create a Token from a document that may lack `sha256`; then its secret is made here.

        `length` is that of the secret in characters, `SHORTEST_MADE_SECRET` or more. Returns the document,
        its revision, and the secret, which is kept nowhere; "" if it is the user's own.

        Raises:
            InvalidDocumentError: the document is wrong, expires in the past, or refers to what is not there.
            RefusedError: there is a token of this name, or with this secret.
        """
        secret = secrets.token_urlsafe(length)[:length]
        document, made = read_new_token(raw, secret, datetime.now(UTC))

        def decide(draft: RegistryTransaction) -> Result:
            if document.name in draft.state.tokens:
                raise RefusedError(f"there is a token {document.name}: delete it first, or take another name")
            return rules.put(draft, document, self._nameservers)

        _, revision = await self._commits.take(decide)
        return document, revision, secret if made else ""


def _existing(state: State, kind: Kind, name: str) -> Entry[Resource[Spec]]:
    entry: Entry[Resource[Spec]] | None = state.resources(kind).get(name)
    if entry is None:
        raise NotFoundError(f"there is no {kind} {name}")
    return entry


def _check(entry: Entry[Resource[Spec]] | None, if_match: Precondition) -> None:
    if if_match is None:
        return
    if entry is None:
        raise PreconditionFailedError("there is no such resource, and If-Match expects one")
    if if_match not in (ANY, entry.revision):
        raise PreconditionFailedError(f"it has been changed since: it is at revision {entry.revision} now")
