"""What ends by the clock: addresses of hosts that nobody refreshes, and challenges that are over.

A leader that has just begun waits: while nobody led, or the service was away, nobody could refresh.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.expiry import Expiry, due, expiry
from ddnsd.model.history import extended
from ddnsd.model.records import Committed, HistoryEntry, RecordKey
from ddnsd.model.request import Api
from ddnsd.store import codec, keys
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

CHALLENGE_LIFE = timedelta(hours=24)
_PERIOD_SECONDS = 5.0
_GRACE_SECONDS = 900.0  # at most; enough for clients that come every five minutes
_YIELD_EVERY = 500
_AT_ONCE = 200


class Expirer:
    """Withdraws what has expired, as a client would: the host stays."""

    def __init__(self, mandate: Mandate) -> None:
        self._mandate = mandate
        self._began = asyncio.get_running_loop().time()
        self._warned: set[str] = set()

    async def run(self) -> None:
        """Look every few seconds. Never returns."""
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            try:
                await self._hosts()
                await self._withdraw(self._over(), (Challenge.TXT,))
            except UnavailableError as error:
                _log.warning("expiry.failed", reason=str(error))

    async def _hosts(self) -> None:
        state, now = self._mandate.state, datetime.now(UTC)
        expired, expiring = [], set()
        for count, host in enumerate(list(state.hosts.expiring)):
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            lifetime = expiry(state, host, now)
            if lifetime is not None and lifetime.state is Expiry.EXPIRING:
                expiring.add(host)
            elif due(state, host, now) and self._has_waited(host):
                expired.append(host)
        for host in sorted(expiring - self._warned):
            _log.warning("host.expiring", host=host)
        self._warned = expiring
        self._mandate.metrics.expiring(len(expiring))
        await self._withdraw(expired, tuple(Family))

    def _has_waited(self, host: str) -> bool:
        """Say whether this node has led for long enough that the host's client must have come."""
        entry = self._mandate.state.hosts.get(host)
        seconds = entry.value.spec.expires_after if entry else None
        led = asyncio.get_running_loop().time() - self._began
        return seconds is not None and led >= min(seconds, _GRACE_SECONDS)

    def _over(self) -> Iterator[str]:
        """Yield the hosts whose challenges are over."""
        state, oldest = self._mandate.state, datetime.now(UTC) - CHALLENGE_LIFE
        for record in list(state.addresses.challenges):
            committed = state.addresses[record].value
            if not committed.is_tombstone and committed.changed <= oldest:
                yield record.name

    async def _withdraw(self, hosts: Iterable[str], types: Iterable[RRType]) -> None:
        names = list(hosts)
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            await asyncio.gather(*(self._clear(name, types) for name in part))

    async def _clear(self, host: str, types: Iterable[RRType]) -> None:
        """Leave tombstones of the host's records, unless it was refreshed or changed meanwhile."""
        state, now, commit = self._mandate.state, datetime.now(UTC), self._mandate.new_fence().claim
        seen, history = state.seen.get(host), state.history.get(host)
        expects = {keys.seen(host): seen.revision if seen else 0}
        expects[keys.history(host)] = history.revision if history else 0
        puts, entries = {}, []
        for record in (RecordKey(host, type) for type in types):
            committed = state.addresses.get(record)
            if committed is None or committed.value.is_tombstone:
                continue
            key, ip = keys.address(record), committed.value.ip
            expects[key] = committed.revision
            zone = state.zone_of(host) or ""
            puts[key] = codec.encode(Committed("", ip, commit, now, zone, cleared=True))
            entries.append(HistoryEntry(now, record.type, ip, "", Api.EXPIRY))
        if entries:
            puts[keys.history(host)] = codec.encode(extended(history.value if history else None, *entries))
            await self._mandate.commit(expects, puts)
            _log.info("host.expired", host=host, types=[str(entry.type) for entry in entries])
