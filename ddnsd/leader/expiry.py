"""What ends by the clock: addresses of hosts that nobody refreshes, and challenges that are over.

A leader that has just begun waits: while nobody led, or the service was away, nobody could refresh. So it
does with a host that was held until now.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.expiry import Expiry, challenge_over, due, is_held, stage
from ddnsd.model.records import Committed, HistoryEntry, RecordKey
from ddnsd.model.request import Api
from ddnsd.model.resources import Kind
from ddnsd.model.state import State
from ddnsd.store import codec, keys
from ddnsd.store.chronicle import addition
from ddnsd.store.interface import Done, UnavailableError

_log = structlog.get_logger(__name__)

_PERIOD_SECONDS = 5.0
_GRACE_SECONDS = 900.0  # at most; enough for clients that come every five minutes
_YIELD_EVERY = 500
_AT_ONCE = 200

_IsDue = Callable[[State, str, datetime], bool]


class Expirer:
    """Withdraws what has expired, as a client would: the host stays."""

    def __init__(self, mandate: Mandate) -> None:
        self._mandate = mandate
        self._began = asyncio.get_running_loop().time()
        self._warned: set[str] = set()
        self._held: dict[str, float] = {}  # hosts, and when they were held last, by the loop's clock

    async def run(self) -> None:
        """Look every few seconds. Never returns."""
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            try:
                await self._hosts()
                await self._challenges()
            except UnavailableError as error:
                _log.warning("expiry.failed", reason=str(error))

    async def _hosts(self) -> None:
        state, now = self._mandate.state, datetime.now(UTC)
        expired, expiring = [], set()
        for count, host in enumerate(list(state.hosts.expiring)):
            if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                await asyncio.sleep(0)
            if is_held(state, host):
                self._held[host] = asyncio.get_running_loop().time()
            elif stage(state, host, now) is Expiry.EXPIRING:
                expiring.add(host)
            elif due(state, host, now) and self._has_waited(host):
                expired.append(host)
        for host in sorted(expiring - self._warned):
            _log.warning("host.expiring", host=host)
        self._warned = expiring
        self._held = {host: last for host, last in self._held.items() if host in state.hosts.expiring}
        self._mandate.metrics.expiring(len(expiring))
        await self._withdraw(expired, tuple(Family), due)

    async def _challenges(self) -> None:
        state, now = self._mandate.state, datetime.now(UTC)
        over = [
            record.name for record in state.addresses.challenges if challenge_over(state, record.name, now)
        ]
        await self._withdraw(over, (Challenge.TXT,), challenge_over)

    def _has_waited(self, host: str) -> bool:
        """Say whether this node has led, and the host was free, for long enough for its client to come."""
        entry = self._mandate.state.hosts.get(host)
        seconds = entry.value.spec.expires_after if entry else None
        could_come = asyncio.get_running_loop().time() - self._held.get(host, self._began)
        return seconds is not None and could_come >= min(seconds, _GRACE_SECONDS)

    async def _withdraw(self, hosts: Sequence[str], types: Sequence[RRType], is_due: _IsDue) -> None:
        for start in range(0, len(hosts), _AT_ONCE):
            part = hosts[start : start + _AT_ONCE]
            await asyncio.gather(*(self._clear(name, types, is_due) for name in part))

    async def _clear(self, host: str, types: Sequence[RRType], is_due: _IsDue) -> None:
        """Leave tombstones of the host's records, unless it was refreshed or changed meanwhile."""
        state, now, commit = self._mandate.state, datetime.now(UTC), self._mandate.new_fence().claim
        if not is_due(state, host, now):
            return
        expects = self._grounds(host)
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
            key, expects[key], puts[key] = addition(state, host, *entries)
            if isinstance(await self._mandate.commit(expects, puts), Done):
                _log.info("host.expired", host=host, types=[str(entry.type) for entry in entries])

    def _grounds(self, host: str) -> dict[str, int]:
        """Return what a withdrawal depends on beside the addresses; a prefix, too, may refresh the host."""
        state = self._mandate.state
        entry, seen = state.hosts.get(host), state.seen.get(host)
        expects = {
            keys.resource(Kind.HOST, host): entry.revision if entry else 0,
            keys.seen(host): seen.revision if seen else 0,
        }
        if entry is not None:
            account = entry.value.spec.account
            head = state.prefix_heads.get(account)
            expects[keys.prefix_head(account)] = head.revision if head else 0
        return expects
