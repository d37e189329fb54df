"""What the clock ends, while clients refresh it at the same moment."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ddnsd.leader import expiry as leader_expiry
from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.records import Committed, LastSeen, RecordKey, Resource, Stored
from ddnsd.model.resources import Kind
from ddnsd.store import codec, keys
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import Outcome, Store, Update
from tests.leader.node import Node, embedded_nameservers, example, host, node_on

PAIR = ("one.example.com", "two.example.com")
LAST = "last.example.com"
VALUE = "value".ljust(43, "_")


class Meanwhile:
    """A store at which something happens to one of the pair while the other one is being withdrawn."""

    def __init__(self, real: Store) -> None:
        self._real = real
        self.happens: Callable[[str], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def commit(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        withdrawn = [name for name in PAIR if any(_withdraws(each, name) for each in updates)]
        if withdrawn and self.happens:
            happens, self.happens = self.happens, None
            (other,) = {*PAIR} - {*withdrawn}
            await happens(other)
        return await self._real.commit(updates)


def _withdraws(update: Update, name: str) -> bool:
    puts = update.puts.items()
    return any(key.startswith(f"{keys.ADDRESSES}/{name}/") and b'"cleared":true' in put for key, put in puts)


@asynccontextmanager
async def expiring(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Node, Node, Meanwhile]]:
    """Run a node for clients, and another one that leads and withdraws one host at a time."""
    monkeypatch.setattr(leader_expiry, "_PERIOD_SECONDS", 0.02)
    monkeypatch.setattr(leader_expiry, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(leader_expiry, "_AT_ONCE", 1)
    real = await open_embedded(folder / "store")
    meanwhile = Meanwhile(real)
    try:
        async with (
            embedded_nameservers(folder) as servers,
            node_on(real, servers) as clients,
            node_on(meanwhile, servers) as leader,  # type: ignore[arg-type]
        ):
            leader.lead()
            await clients.apply(*example(*PAIR, LAST))
            yield clients, leader, meanwhile
    finally:
        await real.close()


async def put(node: Node, *nodes: Node, **values: Stored) -> None:
    """Write into the store, and see that these nodes know of it."""
    await node.commits.commit(Update({}, {key: codec.encode(value) for key, value in values.items()}))
    for each in (node, *nodes):
        await each.cache.current()


def sightings(ago: timedelta, *names: str) -> dict[str, Stored]:
    return {keys.seen(name): LastSeen(datetime.now(UTC) - ago) for name in names}


def challenges(ago: timedelta, *names: str) -> dict[str, Stored]:
    committed = Committed(VALUE, "", "commit", datetime.now(UTC) - ago)
    return {keys.address(RecordKey(name, Challenge.TXT)): committed for name in names}


async def test_a_host_that_is_refreshed_while_another_one_is_withdrawn_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with expiring(tmp_path, monkeypatch) as (clients, leader, meanwhile):
        await clients.apply(*(host(name, expiresAfter=60) for name in (*PAIR, LAST)))
        for name in (*PAIR, LAST):
            await clients.update(name, "192.0.2.1")

        async def refreshed(name: str) -> None:
            await put(clients, leader, **sightings(timedelta(0), name))

        meanwhile.happens = refreshed
        await put(clients, **sightings(timedelta(seconds=61), *PAIR))
        await clients.until(lambda: len(clients.state.addresses) == 2)
        await put(clients, **sightings(timedelta(seconds=61), LAST))
        await clients.until(lambda: RecordKey(LAST, Family.A) not in clients.state.addresses)
        assert [record.name in PAIR for record in clients.state.addresses] == [True]


async def test_a_challenge_that_is_replaced_while_another_one_is_withdrawn_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with expiring(tmp_path, monkeypatch) as (clients, leader, meanwhile):

        async def replaced(name: str) -> None:
            await put(clients, leader, **challenges(timedelta(0), name))

        meanwhile.happens = replaced
        await put(clients, **challenges(timedelta(hours=24), *PAIR))
        await clients.until(lambda: len(clients.state.addresses) == 1)
        await put(clients, **challenges(timedelta(hours=24), LAST))
        await clients.until(lambda: RecordKey(LAST, Challenge.TXT) not in clients.state.addresses)
        assert [record.name in PAIR for record in clients.state.addresses] == [True]


async def test_a_host_that_is_to_expire_no_more_at_that_moment_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with expiring(tmp_path, monkeypatch) as (clients, _, meanwhile):
        await clients.apply(*(host(name, expiresAfter=60) for name in PAIR), host(LAST, expiresAfter=60))
        for name in (*PAIR, LAST):
            await clients.update(name, "192.0.2.1")

        async def kept(_: str) -> None:
            await clients.apply(*map(host, PAIR))

        meanwhile.happens = kept
        await put(clients, **sightings(timedelta(seconds=61), *PAIR))
        await clients.until(lambda: meanwhile.happens is None)
        await put(clients, **sightings(timedelta(seconds=61), LAST))
        await clients.until(lambda: RecordKey(LAST, Family.A) not in clients.state.addresses)
        assert len(clients.state.addresses) == len(PAIR)


async def test_a_host_that_was_held_has_time_to_be_refreshed_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with expiring(tmp_path, monkeypatch) as (clients, leader, _):
        await leader.until(lambda: leader.candidate.publisher is not None)
        assert leader.candidate.publisher is not None
        monkeypatch.setattr(leader.candidate.publisher._expirer, "_began", float("-inf"))
        await clients.apply(*(host(name, expiresAfter=60) for name in PAIR))
        for name in PAIR:
            await clients.update(name, "192.0.2.1")
        spec = clients.state.hosts[PAIR[0]].value.spec
        for held in (True, False):
            if not held:
                monkeypatch.setattr(leader_expiry, "_GRACE_SECONDS", 60.0)
            await put(clients, **{keys.resource(Kind.HOST, name): Resource(spec, held=held) for name in PAIR})
            await put(clients, **sightings(timedelta(seconds=61), *PAIR))
            await _looked(clients)
            assert len(clients.state.addresses) == len(PAIR)
        monkeypatch.setattr(leader_expiry, "_GRACE_SECONDS", 0.0)
        await clients.until(lambda: not clients.state.addresses)


async def _looked(clients: Node) -> None:
    """Wait until the leader has looked at all hosts: twice, as it may have been looking just now."""
    for _ in range(2):
        await put(clients, **challenges(timedelta(hours=24), LAST))
        await clients.until(lambda: RecordKey(LAST, Challenge.TXT) not in clients.state.addresses)
