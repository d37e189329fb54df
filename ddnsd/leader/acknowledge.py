"""Writing down what the nameserver has taken, so that every node can answer for it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.leader.rrsets import record_type
from ddnsd.model.plan import Push
from ddnsd.model.records import Published, PublishError, RecordKey, Site
from ddnsd.nameserver.interface import Nameserver
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

    async def refuse(self, pushes: Sequence[Push], reason: str) -> None:
        """Record that the nameserver itself refuses these: they wait, with the error shown.

        Raises:
            UnavailableError: the store cannot take it now.
        """
        for push in pushes:
            _log.warning("publish.refused", name=push.record.name, type=push.record.type, reason=reason)
        await asyncio.gather(*(self._put(push, self._refusal(push, reason)) for push in pushes))
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
        if not want.ip and self._is_last_site():
            await self._forget(push)
            return
        await self._put(push, Published(want.revision, want.ip, want.ttl, self._site.nameserver, now))

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
        return all(site == self._site for site in self._mandate.state.sites_of(self._site.zone))

    def _refusal(self, push: Push, reason: str) -> Published:
        error = PublishError(push.want.revision, reason, datetime.now(UTC), self._site.nameserver)
        before = self._mandate.state.published.get(push.record)
        if before is None:
            return Published(0, "", push.want.ttl, self._site.nameserver, error=error)
        served = before.value
        return Published(served.revision, served.ip, served.ttl, served.nameserver, served.at, error)

    async def _unserved(self, pushes: Sequence[Push]) -> set[RecordKey]:
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def is_served(push: Push) -> bool:
            async with gate:
                type = record_type(push.record)
                found = await self._nameserver.query(self._site.zone, push.record.name, type)
            return found is not None and found.values == push.want.values

        served = await asyncio.gather(*map(is_served, pushes))
        return {push.record for push, yes in zip(pushes, served, strict=True) if not yes}

    def _count(self, pushes: Sequence[Push], result: str) -> None:
        if pushes:
            self._mandate.metrics.published(self._site.nameserver, result, len(pushes))
