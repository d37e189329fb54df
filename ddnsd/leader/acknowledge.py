"""Writing down what the nameserver has taken, so that every node can answer for it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.leader.rrsets import record_type
from ddnsd.model.owners import wildcard_owner
from ddnsd.model.plan import Push
from ddnsd.model.publication import is_only_site
from ddnsd.model.records import Published, PublishError, RecordKey, Site
from ddnsd.nameserver.interface import Absent, Nameserver, Rcode, Update
from ddnsd.store import codec, keys

_log = structlog.get_logger(__name__)

_READS_AT_ONCE = 16
NOT_SERVED = (
    "the nameserver answered NOERROR but does not serve the record: "
    "is there a CNAME at the name, or a delegation above it?"
)


class Acknowledger:
    """Acknowledges the pushes of one site, each on the condition that `published` has not moved."""

    def __init__(self, site: Site, nameserver: Nameserver, mandate: Mandate) -> None:
        self._site = site
        self._nameserver = nameserver
        self._mandate = mandate

    async def acknowledge(self, pushes: Sequence[Push]) -> None:
        """Record that the nameserver answered NOERROR to the pushes.

        A first publication is read back before: only what is served counts.

        Raises:
            NameserverError: a record could not be read back; none of the pushes is acknowledged.
            UnavailableError: the store cannot take it now.
        """
        unserved = await self._unserved([push for push in pushes if push.first])
        served = [push for push in pushes if push.record not in unserved]
        refused = [push for push in pushes if push.record in unserved]
        await asyncio.gather(self._commit(served), self.refuse(refused, NOT_SERVED))

    async def prepare(self, pushes: Sequence[Push]) -> None:
        """Record, before the first UPDATE with it, that each push's `*.<host>` may be served: it is pending.

        Raises:
            UnavailableError: the store cannot take it now.
        """
        await asyncio.gather(*(self._put(push, self._starred(push)) for push in pushes))

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
        want = push.want
        if not want.ip and self._is_last_site() and not self._mandate.state.prefixes:  # else it is swept
            await self._forget(push)
            return
        starred = want.wildcard or (push.starred and not self._is_last_site())
        nameserver = self._site.nameserver
        await self._put(push, Published(want.revision, want.ip, want.ttl, nameserver, now, wildcard=starred))

    async def _put(self, push: Push, value: Published) -> None:
        key = keys.published(push.record)
        await self._mandate.commit({key: push.guard}, {key: codec.encode(value)})

    async def _forget(self, push: Push) -> None:
        """Delete what is known of a removed record, unless it was committed anew meanwhile."""
        address, published = keys.address(push.record), keys.published(push.record)
        expects = {address: push.want.revision, published: push.guard}
        await self._mandate.commit(expects, deletes=frozenset({address, published}))

    def _is_last_site(self) -> bool:
        """Say whether the zone's records stand nowhere else, as they do while it moves."""
        return is_only_site(self._mandate.state, self._site)

    async def _note_refusal(self, push: Push, reason: str) -> None:
        """Record one refusal, and that no `*.<host>` is served where there is none.

        It may be what was refused: asked to remove it, a nameserver with a policy for single names would
        refuse the host's own record for ever, though the host is no wildcard any more. Then that is tried
        at once without.
        """
        noted = self._noted(push)
        unstarred = noted.wildcard and self._is_last_site() and await self._is_unstarred(push)
        revision = 0 if unstarred and not push.want.wildcard else push.want.revision
        error = PublishError(revision, reason, datetime.now(UTC), self._site.nameserver)
        starred = noted.wildcard and not unstarred
        await self._put(push, msgspec.structs.replace(noted, error=error, wildcard=starred))

    async def _is_unstarred(self, push: Push) -> bool:
        """Ask by a prerequisite: an answer to a query might be that of a wildcard further up."""
        absent = Absent(wildcard_owner(push.record), record_type(push.record))
        question = Update(self._site.zone, (absent,), ())
        return await self._nameserver.update(question) is Rcode.NOERROR

    def _starred(self, push: Push) -> Published:
        return msgspec.structs.replace(self._noted(push), revision=0, wildcard=True)

    def _noted(self, push: Push) -> Published:
        """Return what is noted of the record; of a new one, that nothing is served."""
        before = self._mandate.state.published.get(push.record)
        return before.value if before else Published(0, "", push.want.ttl, self._site.nameserver)

    async def _unserved(self, pushes: Sequence[Push]) -> set[RecordKey]:
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def is_served(push: Push) -> bool:
            async with gate:
                type = record_type(push.record)
                for name in push.want.owners:
                    found = await self._nameserver.query(self._site.zone, name, type)
                    if found is None or found.values != push.want.values:
                        return False
            return True

        served = await asyncio.gather(*map(is_served, pushes))
        return {push.record for push, yes in zip(pushes, served, strict=True) if not yes}

    def _count(self, pushes: Sequence[Push], result: str) -> None:
        if pushes:
            self._mandate.metrics.published(self._site.nameserver, result, len(pushes))
