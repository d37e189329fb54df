"""The registry: see the package's docstring."""

import copy
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from ddnsd.model.audit import Author
from ddnsd.model.records import Entry, Resource, Work, WorkRequest
from ddnsd.model.resources import MADE_SECRET_LENGTH, Kind, Spec
from ddnsd.model.state import State
from ddnsd.service.archive import Archive, Export
from ddnsd.service.documents import Document, read_new_token
from ddnsd.service.history import HistoryItem, HistoryPage, history, whose
from ddnsd.service.registry import deletion, rules
from ddnsd.service.registry.apply import apply, read_documents
from ddnsd.service.registry.audited import Auditor
from ddnsd.service.registry.deletion import Deleted
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import NotFoundError, PreconditionFailedError, RefusedError
from ddnsd.service.registry.restore import restore
from ddnsd.service.registry.results import Applied, Restored
from ddnsd.service.registry.rules import Written
from ddnsd.service.registry.sources import Sources
from ddnsd.service.registry.turns import Turns
from ddnsd.service.registry.work import WorkDesk
from ddnsd.store.commit import GroupCommit
from ddnsd.store.snapshot import WatchCache

ANY: Final = "*"
Precondition = int | Literal["*"] | None  # the revision that the caller expects, any one, or no matter


class Page(NamedTuple):
    """A part of a listing, in the order of the names. `cursor` asks for what follows; "" if nothing does."""

    items: tuple[tuple[str, Entry[Resource[Spec]]], ...]
    cursor: str


class Put(NamedTuple):
    """What came of a put, the resource's revision after it, and what its writer should know all the same."""

    written: Written
    revision: int
    warning: str = ""


class CreatedToken(NamedTuple):
    """A new token. `secret` is shown to its user now and never again; "" if it is the user's own."""

    document: Document
    revision: int
    secret: str


class Registry:
    """The resources of the installation. Every answer is linearizable.

    All methods raise `StoreFailedError` if the store cannot do it.
    """

    def __init__(
        self, cache: WatchCache, commits: GroupCommit, *, nameservers: Collection[str], timeout: float
    ) -> None:
        """`nameservers` are the names that a zone may refer to; `timeout` bounds a change, in seconds."""
        self._nameservers = frozenset(nameservers)
        self._turns = Turns(cache, commits, timeout)
        self._sources = Sources(self._turns)
        self._work = WorkDesk(cache, commits, timeout)

    def reconfigure(self, *, nameservers: Collection[str], timeout: float) -> None:
        """Judge by these from now on; arguments as of the constructor."""
        self._nameservers = frozenset(nameservers)
        self._turns.reconfigure(timeout)
        self._work.reconfigure(timeout)

    def by(self, author: Author) -> "Registry":
        """Return the same, whose changes are this author's."""
        registry = copy.copy(self)
        registry._turns = self._turns.audited(Auditor(author))
        registry._sources = Sources(registry._turns)
        return registry

    @property
    def sources(self) -> Sources:
        """The Kubernetes clusters that put resources here, too."""
        return self._sources

    @property
    def state(self) -> State:
        """The state as of the newest answer, or newer."""
        return self._turns.cache.state

    async def list(self, kind: Kind, limit: int, cursor: str = "") -> Page:
        """Return at most `limit` resources whose names come after the cursor."""
        table = (await self._turns.read()).state.resources(kind)
        names = table.after(cursor, limit + 1)
        more = len(names) > limit
        items = tuple((name, table[name]) for name in names[:limit])
        return Page(items, items[-1][0] if more and items else "")

    async def get(self, kind: Kind, name: str) -> Entry[Resource[Spec]]:
        """Return a resource.

        Raises:
            NotFoundError: there is none.
        """
        return _existing((await self._turns.read()).state, kind, name)

    async def put(self, document: Document, if_match: Precondition = None) -> Put:
        """Create or change a resource.

        Raises:
            InvalidDocumentError: it refers to what is not there.
            RefusedError: other resources stand in the way.
            PreconditionFailedError: it is not at the revision expected.
        """

        def decide(draft: Draft) -> Put:
            entry = draft.state.resources(document.kind).get(document.name)
            _check(entry, if_match)
            written = rules.put(draft, document, self._nameservers)
            return Put(written, entry.revision if entry else 0, draft.warning(document.name))

        put, revision = await self._turns.take(decide)
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

        def decide(draft: Draft) -> Deleted:
            entry = _existing(draft.state, kind, name)
            _check(entry, if_match)
            return deletion.delete(draft, kind, name, entry.value, cascade=cascade, writer=None)

        gone, _ = await self._turns.take(decide)
        return gone if gone.done else await self._finish_deletion(kind, name, gone)

    async def _finish_deletion(self, kind: Kind, name: str, gone: Deleted) -> Deleted:
        """Go on with a deletion that one commit could not hold, until it is done or was taken back."""

        def decide(draft: Draft) -> Deleted:
            entry = draft.state.resources(kind).get(name)
            if entry is None:
                return Deleted(0, 0, done=True)  # somebody else has finished it
            return deletion.delete(draft, kind, name, entry.value, cascade=False, writer=None)

        while not gone.done:
            more, _ = await self._turns.take(decide)
            gone = Deleted(gone.hosts + more.hosts, gone.tokens + more.tokens, more.done)
        return gone

    async def apply(self, raws: Sequence[object]) -> Applied:
        """Apply many documents, given as plain JSON values; see `registry.apply.apply`."""
        return await apply(self._turns, await read_documents(raws), self._nameservers)

    async def export(self) -> Export:
        """Return all resources and their addresses, as they are at the newest revision."""
        state = (await self._turns.read()).state
        return Export(state, self._turns.cache.revision, datetime.now(UTC))

    async def history(
        self, who: str, limit: int, cursor: str = "", *, audit: Sequence[HistoryItem] = ()
    ) -> HistoryPage:
        """Return changes, the newest first: of a host, of an account's hosts, of all ("").

        At most `limit`, and only what comes after the cursor; the `audit` that names the host among them.

        Raises:
            NotFoundError: there is no such host or account, and there was no such host.
        """
        state = (await self._turns.read()).state
        hosts = whose(state, who)
        if hosts is None and not audit:
            raise NotFoundError(f"there is no Host or Account {who[:80]!r}")
        return await history(state, hosts or (), limit, cursor, more=audit)

    async def restore(self, archive: Archive) -> Restored:
        """Put an archive into this installation; see `registry.restore.restore`."""
        return await restore(self._turns, archive, self._nameservers)

    async def create_token(self, raw: object, length: int = MADE_SECRET_LENGTH) -> CreatedToken:
        """Create a Token from a document that may lack `sha256`; then its secret is made here.

        `length` is that of the secret in characters, `SHORTEST_MADE_SECRET` or more.

        Raises:
            InvalidDocumentError: the document is wrong, expires in the past, or refers to what is not there.
            RefusedError: there is a token of this name, or with this secret.
        """
        secret = secrets.token_urlsafe(length)[:length]
        document, made = read_new_token(raw, secret, datetime.now(UTC))

        def decide(draft: Draft) -> Written:
            if document.name in draft.state.tokens:
                raise RefusedError(f"there is a token {document.name}: delete it first, or take another name")
            return rules.put(draft, document, self._nameservers)

        _, revision = await self._turns.take(decide)
        return CreatedToken(document, revision, secret if made else "")

    async def request_work(self, zone: str, work: Work, *, adopt: bool = False) -> str:
        """Ask the leader for work on a zone; return the request's id. `adopt`: see `WorkRequest`.

        Raises:
            NotFoundError: nothing is, or was, published there.
        """
        return await self._work.request(zone, work, adopt=adopt)

    async def await_work(self, id: str, timeout: float) -> WorkRequest | None:
        """Wait for the end of a request; None if it takes longer than `timeout` seconds.

        Raises:
            NotFoundError: there is no such request (any more).
        """
        return await self._work.finished(id, timeout)


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
