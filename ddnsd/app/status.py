"""What `ddnsd status` and `GET /api/v1/status` show: the same from every node.

Among it are two findings of their own: how far the clocks of the nodes are apart, as what ends by the clock
ends at another moment on each of them, and whether the nodes run with one configuration.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ddnsd import __version__
from ddnsd.app.watchdog import LeaderWatch, ended_warnings, queue_warnings
from ddnsd.model.publication import is_verified
from ddnsd.model.records import Member, Placement, PlacementState
from ddnsd.model.state import needed_nameservers
from ddnsd.service.source_status import source_status, source_warnings
from ddnsd.service.status import ZoneProgress, zone_progress
from ddnsd.store import keys
from ddnsd.store.interface import Store
from ddnsd.store.watch_cache import Touched, WatchCache

TOLERATED_SECONDS = 1.0
_BEATS = 3  # that are compared


class Clocks:
    """Compares each beat, as it arrives, with this node's own clock.

    A beat that was on its way for long, or that this node was too busy to look at, makes the other clock
    seem to be behind: of the last beats the one that was there first counts.
    """

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._seen: dict[str, deque[float]] = {}
        cache.subscribe(self._look, (keys.MEMBERS,))

    @property
    def differences(self) -> Mapping[str, float]:
        """By member's id, how many seconds its clock is ahead of this node's; after two beats."""
        return {id: max(seen) for id, seen in self._seen.items() if len(seen) > 1}

    def _look(self, touched: Sequence[Touched]) -> None:
        for shelf, id in touched:
            if shelf == keys.MEMBERS:
                self._compare(str(id))

    def _compare(self, id: str) -> None:
        member = self._cache.state.members.get(id)
        if member is None:
            self._seen.pop(id, None)
        elif member.revision == self._cache.revision:  # just written; not so what comes with a snapshot
            ahead = (member.value.beat.at - datetime.now(UTC)).total_seconds()
            self._seen.setdefault(id, deque(maxlen=_BEATS)).append(ahead)


_ROLLED_OUT = timedelta(minutes=2)  # in which a change reaches all nodes: kubelet takes up to 90 s


def configuration_warnings(members: Collection[Member], now: datetime) -> Iterator[str]:
    """Yield a sentence for each refused configuration, each that waits for a restart, each difference."""
    for member in members:
        configured = member.configuration
        if configured.refused:
            yield (
                f"{member.name} goes on with the configuration it had, as the newest is refused: "
                f"{configured.refused}"
            )
        if configured.waiting:
            yield f"{member.name} needs a restart to take over {', '.join(configured.waiting)}"
    yield from _differences(members, now)


def _differences(members: Collection[Member], now: datetime) -> Iterator[str]:
    """Yield what nodes of one release have not had alike for longer than a change takes to reach all."""
    names: defaultdict[tuple[str, str], defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for member in members:
        since = member.configuration.since
        if since is not None and now - since > _ROLLED_OUT:
            for section, digest in member.configuration.digests.items():
                names[member.version, section][digest].append(member.name)
    for (_, section), alike in sorted(names.items()):
        if len(alike) > 1:
            sides = " and ".join(", ".join(sorted(side)) for side in alike.values())
            yield f"`{section}` is not the same in the config.yaml of {sides}"


_SHOWN = 5  # zones in a warning


class StatusReport:
    """Reads the node's parts; changes nothing."""

    def __init__(self, store: Store, cache: WatchCache, me: str) -> None:
        """`me` is this node's id among the members."""
        self._store = store
        self._cache = cache
        self._clocks = Clocks(cache)
        self._leader_watch = LeaderWatch(cache)
        self._me = me

    async def status(self) -> Mapping[str, Any]:
        """Return the installation's state as this node knows it, ready for JSON."""
        state = self._cache.state
        health, progress = await self._store.health(), await zone_progress(state)
        sources = (await source_status(state)).values()
        return {
            "version": __version__,
            "installation": next((entry.value.id for entry in state.installation.values()), None),
            "node": self._me,
            "revision": self._cache.revision,
            "leader": self._leader(),
            "warnings": [
                *(f"{text}; {remedy}" for text, remedy, _ in health.problems),
                *self._warnings(),
                *self._overdue(progress),
                *(warning for source in sources for warning in source_warnings(source)),
            ],
            "nodes": [self._node(id, entry.value) for id, entry in sorted(state.members.items())],
            "zones": [self._zone(zone, progress.get(zone, ZoneProgress())) for zone in sorted(state.zones)],
            "leaving": [self._leaver(placement) for placement in self._leaving()],
            "sources": msgspec.to_builtins(tuple(sources)),
            "store": {
                "servers": [server._asdict() for server in health.servers],
                "members": list(health.members),
            },
            "counts": {
                "accounts": len(state.accounts),
                "zones": len(state.zones),
                "hosts": len(state.hosts),
                "tokens": len(state.tokens),
            },
        }

    def _leader(self) -> Mapping[str, Any] | None:
        leader = self._cache.state.leader
        if leader is None:
            return None
        member = self._cache.state.members.get(leader.value.member)
        return {
            "node": leader.value.member,
            "name": member.value.name if member else None,
            "epoch": leader.created,
        }

    def _warnings(self) -> Iterator[str]:
        state = self._cache.state
        if state.leader is None:
            yield "no node leads: nothing is published"
        for member in state.members.values():
            for name in sorted(self._lacking(member.value)) if member.value.eligible else ():
                zones = sorted(zone for zone in state.zones if self._home(zone).nameserver == name)
                yield (
                    f"{member.value.name} has no nameserver {name!r}, which {_some(zones)} need if it leads: "
                    "add it to its config.yaml, or set leader.eligible: false there"
                )
        members = [member.value for member in state.members.values()]
        yield from configuration_warnings(members, datetime.now(UTC))
        for zone in sorted(state.zones):
            home = self._home(zone)
            if error := self._error(home):
                yield f"{zone} is not published{self._since(home)}: {error}"
        for placement in self._leaving():
            if error := self._error(placement):
                zone, nameserver = placement
                yield (
                    f"{zone} cannot be removed from {nameserver}{self._since(placement)}: {error}; "
                    f"if what is there may stay, give it up with `ddnsd zone forget {zone}`"
                )
        for id, seconds in self._clocks.differences.items():
            if abs(seconds) > TOLERATED_SECONDS and id in state.members:
                name, side = state.members[id].value.name, "ahead of" if seconds > 0 else "behind"
                yield f"the clock of {name} is {abs(seconds):.1f} s {side} this node's: synchronize them"

    def _overdue(self, progress: Mapping[str, ZoneProgress]) -> Iterator[str]:
        yield from self._leader_watch.warnings()
        state, leader = self._cache.state, self._leader()
        if leader is not None:
            hindered = [zone for zone in state.zones if self._error(self._home(zone))]
            name = leader["name"] or leader["node"]
            yield from queue_warnings(progress, name, hindered, datetime.now(UTC))
        yield from ended_warnings([member.value for member in state.members.values()])

    def _lacking(self, member: Member) -> Collection[str]:
        return needed_nameservers(self._cache.state) - member.nameservers

    def _node(self, id: str, member: Member) -> Mapping[str, Any]:
        return {
            "node": id,
            **msgspec.to_builtins(member),
            "nameservers": sorted(member.nameservers),
            "lacks": sorted(self._lacking(member)),
            "clockAhead": self._clocks.differences.get(id),
        }

    def _zone(self, zone: str, progress: ZoneProgress) -> Mapping[str, Any]:
        home = self._home(zone)
        noted = self._noted(home)
        return {
            "zone": zone,
            "nameserver": home.nameserver,
            "verified": is_verified(self._cache.state, home),
            "fenceHeldBy": noted.holder,
            "error": self._error(home),
            "since": _time(noted.since if noted.error else None),
            "pending": progress.pending,
            "refused": progress.refused,
            "lastPush": _time(progress.last_push),
        }

    def _leaving(self) -> Sequence[Placement]:
        """Return where something is still to be removed, as its zone was deleted or moved."""
        state = self._cache.state
        return sorted(placement for placement in state.placements if state.is_retired(placement))

    def _leaver(self, placement: Placement) -> Mapping[str, Any]:
        since = self._noted(placement).since
        return {**placement._asdict(), "error": self._error(placement), "since": _time(since)}

    def _error(self, placement: Placement) -> str:
        state = self._cache.state
        leader = state.leader and state.members.get(state.leader.value.member)
        if leader and placement.nameserver not in leader.value.nameservers:
            name, missing = leader.value.name, placement.nameserver
            return f"the leader {name} has no nameserver {missing!r} in its config.yaml"
        return self._noted(placement).error

    def _since(self, placement: Placement) -> str:
        since = self._noted(placement).since
        return f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""

    def _noted(self, placement: Placement) -> PlacementState:
        """Return what is noted of a zone at a nameserver; nothing where the leader has noted nothing yet."""
        entry = self._cache.state.placements.get(placement)
        return entry.value if entry else PlacementState()

    def _home(self, zone: str) -> Placement:
        return Placement(zone, self._cache.state.zones[zone].value.spec.nameserver)


def _some(zones: Sequence[str]) -> str:
    shown = ", ".join(zones[:_SHOWN])
    return f"{shown} and {len(zones) - _SHOWN} more" if len(zones) > _SHOWN else shown


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None
