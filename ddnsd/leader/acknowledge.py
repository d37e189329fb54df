"""Writing down what the nameserver has taken, and whose names are, so that every node can answer for it."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.leader.pace import growing_pauses
from ddnsd.leader.rrsets import record_type
from ddnsd.model.names import wildcard_owner
from ddnsd.model.publication import Push
from ddnsd.model.records import UNSERVED, HistoryEntry, Published, PublishError, Site
from ddnsd.model.request import Api
from ddnsd.model.taking import Finding, acknowledged, noted, without
from ddnsd.nameserver.interface import Absent, Hidden, Nameserver, Rcode, RecordType, RRset, Update
from ddnsd.store import codec, keys
from ddnsd.store.chronicle import addition

_log = structlog.get_logger(__name__)

_READS_AT_ONCE = 16
_SERVED, _NOT_YET = "", "not yet"  # what a reading back found; anything else is why it never will be served
_DELEGATION = "NS"
NOT_SERVED = f"{UNSERVED}: is there a delegation above it, or a view that ddnsd's queries do not reach?"


class Acknowledger:
    """Acknowledges the pushes of one site, each on the condition that `published` has not moved."""

    def __init__(self, site: Site, nameserver: Nameserver, mandate: Mandate) -> None:
        self._site = site
        self._nameserver = nameserver
        self._mandate = mandate

    async def acknowledge(self, pushes: Sequence[Push]) -> Sequence[Push]:
        """Record that the nameserver answered NOERROR to the pushes; return those that are not served yet.

        A first publication is read back before: only what is served counts.

        Raises:
            NameserverError: a record could not be read back; none of the pushes is acknowledged.
            UnavailableError: the store cannot take it now.
        """
        first = [push for push in pushes if push.first]
        found = dict(zip([push.record for push in first], await self._read_back(first), strict=True))
        served = [push for push in pushes if found.get(push.record, _SERVED) == _SERVED]
        hidden = [push for push in first if found[push.record] not in (_SERVED, _NOT_YET)]
        refusals = (self.refuse([push], found[push.record]) for push in hidden)
        await asyncio.gather(self._commit(served), *refusals)
        return [push for push in first if found[push.record] == _NOT_YET]

    async def acknowledge_late(self, pushes: Sequence[Push]) -> None:
        """Record the same of pushes that were not served yet: they are read again, with growing pauses.

        A nameserver may answer with what was there before, while it signs what is new (BIND with
        `inline-signing`). Only after the policy's `timeout` nothing more is expected.

        Raises as `acknowledge`.
        """
        for pause in growing_pauses(self._mandate.policy.timeout):
            await asyncio.sleep(pause)
            pushes = await self.acknowledge(pushes)
            if not pushes:
                return
        await self.refuse(pushes, NOT_SERVED)

    async def note(self, findings: Sequence[Finding]) -> None:
        """Record whose the names of these pushes are: those that stood empty are taken next.

        What the zone lets its hosts adopt is read, and goes into the host's history.

        Raises:
            NameserverError: what stands there could not be read.
            UnavailableError: the store cannot take it now.
        """
        now = datetime.now(UTC)
        await asyncio.gather(*(self._note(finding, now) for finding in findings))
        self._count([finding.push for finding in findings if finding.in_use], "refused")

    async def refuse(self, pushes: Sequence[Push], reason: str) -> None:
        """Record that the nameserver itself refuses these: they wait, with the error shown.

        Raises:
            NameserverError: it does not say whether a `*.<host>` is served.
            UnavailableError: the store cannot take it now.
        """
        for push in pushes:
            _log.warning("publish.refused", name=push.record.name, type=push.record.type, reason=reason)
        await asyncio.gather(*(self._note_refusal(push, reason) for push in pushes))
        self._count(pushes, "refused")

    async def _commit(self, pushes: Sequence[Push]) -> None:
        now = datetime.now(UTC)
        await asyncio.gather(*(self._settle(push, now) for push in pushes))
        self._count(pushes, "published")
        for push in pushes:
            seconds = max(0.0, (now - push.want.changed).total_seconds())
            self._mandate.metrics.publish_took(self._site.nameserver, seconds)

    async def _settle(self, push: Push, now: datetime) -> None:
        elsewhere = self._elsewhere()
        if not push.want.ip and not elsewhere and not self._mandate.state.prefixes:  # else it is swept
            await self._forget(push)
            return
        await self._put(push, acknowledged(push, now, elsewhere))

    async def _put(self, push: Push, value: Published) -> None:
        key = keys.published(push.record)
        await self._mandate.commit({key: push.guard}, {key: codec.encode(value)})

    async def _note(self, finding: Finding, now: datetime) -> None:
        push = finding.push
        value = noted(finding, now, self._elsewhere())
        if value.error is not None and finding.in_use:
            _log.warning("publish.refused", **push.record._asdict(), reason=value.error.message)
        key = keys.published(push.record)
        expects, puts = {key: push.guard}, {key: codec.encode(value)}
        if adopted := [
            name for name in finding.adopted if not push.before or name not in push.before.adopted
        ]:
            replaced = [found for name in adopted if (found := await self._read(push, name))]
            entries = [_adoption(push, found, now) for found in replaced]
            host, expects[host], puts[host] = addition(self._mandate.state, push.record.name, *entries)
        await self._mandate.commit(expects, puts)

    async def _read(self, push: Push, name: str) -> RRset | None:
        found = await self._nameserver.query(self._site.zone, name, record_type(push.record))
        return found if isinstance(found, RRset) else None

    async def _forget(self, push: Push) -> None:
        """Delete what is known of a removed record, unless it was committed anew meanwhile."""
        address, published = keys.address(push.record), keys.published(push.record)
        expects = {address: push.want.revision, published: push.guard}
        await self._mandate.commit(expects, deletes=frozenset({address, published}))

    def _elsewhere(self) -> Collection[str]:
        """Return the other nameservers where records of the zone stand, as they do while it moves."""
        sites = self._mandate.state.sites_of(self._site.zone)
        return [site.nameserver for site in sites if site != self._site]

    async def _note_refusal(self, push: Push, reason: str) -> None:
        """Record one refusal, and that no `*.<host>` is served where there is none.

        It may be what was refused: asked to remove it, a nameserver with a policy for single names would
        refuse the host's own record for ever, though the host is no wildcard any more. Then that is tried
        at once without.
        """
        value = push.before or Published(0, "", push.want.ttl, self._site.nameserver)
        unstarred = value.wildcard and not self._elsewhere() and await self._is_unstarred(push)
        revision = 0 if unstarred and not push.want.wildcard else push.want.revision
        error = PublishError(revision, reason, datetime.now(UTC), self._site.nameserver)
        value = without(value, wildcard_owner(push.record)) if unstarred else value
        await self._put(push, msgspec.structs.replace(value, error=error))

    async def _is_unstarred(self, push: Push) -> bool:
        """Ask by a prerequisite: an answer to a query might be that of a wildcard further up."""
        absent = Absent(wildcard_owner(push.record), record_type(push.record))
        question = Update(self._site.zone, (absent,), ())
        return await self._nameserver.update(question) is Rcode.NOERROR

    async def _read_back(self, pushes: Sequence[Push]) -> Sequence[str]:
        """Return of each push whether it is served, not yet, or why it never will be."""
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(push: Push) -> str:
            async with gate:
                for name in push.want.owners:
                    if found := await self._difference(push, name):
                        return found
            return _SERVED

        return await asyncio.gather(*map(read, pushes))

    async def _difference(self, push: Push, name: str) -> str:
        """Return what keeps one owner name from being served as wanted, _SERVED where nothing does."""
        found = await self._nameserver.query(self._site.zone, name, record_type(push.record))
        if isinstance(found, RRset):
            return _SERVED if found.values == push.want.values else _NOT_YET
        if found is None or not await self._is_there(found):
            return _NOT_YET
        if found.type == _DELEGATION:
            return f"{found.owner} is delegated to a zone of its own, which has to have the record instead"
        return f"a {found.type} stands at {found.owner}: remove it, or name the host otherwise"

    async def _is_there(self, hidden: Hidden) -> bool:
        """Say whether it hides the name for good: an old answer may show the CNAME of a wildcard."""
        if hidden.type != RecordType.CNAME:
            return True
        question = Update(self._site.zone, (Absent(hidden.owner, RecordType.CNAME),), ())
        return await self._nameserver.update(question) is Rcode.YXRRSET

    def _count(self, pushes: Sequence[Push], result: str) -> None:
        if pushes:
            self._mandate.metrics.published(self._site.nameserver, result, len(pushes))


def _adoption(push: Push, found: RRset, now: datetime) -> HistoryEntry:
    return HistoryEntry(now, push.record.type, " ".join(found.values), push.want.ip, Api.ADOPTION)
