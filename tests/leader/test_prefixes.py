"""Prefixes and what else happens to their hosts at the same time: who wins, who is told what."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ddnsd.leader.context import PrefixLimits
from ddnsd.model.addresses import Family
from ddnsd.model.records import LastSeen, RecordKey, entries
from ddnsd.model.request import Moved, Refusal, Request, Updated, UpdateResult
from ddnsd.model.resources import digest
from ddnsd.nameserver.interface import LoadedNameserver, Nameserver, Rcode, RecordType, Update
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from ddnsd.store.interface import Outcome, Store
from tests.leader.node import (
    BLOG,
    LOOK,
    POLICY,
    SECRET,
    Clock,
    Node,
    embedded_nameservers,
    example,
    host,
    node_on,
    single_node,
    zone,
    zone_of,
)
from tests.rigs.documents import document
from tests.rigs.forwarding import ForwardingNameserver, ForwardingStore

HOSTS = tuple(f"h{number}.example.com" for number in range(3))
FIRST = RecordKey(HOSTS[0], Family.AAAA)
SECOND_SECRET = "second-secret-0123456789"
ONE, TWO = "2001:db8:1::/64", "2001:db8:2::/64"


def prefix(text: str, secret: str = SECRET) -> Request:
    return Request(BLOG, "", secret, "", prefix=text)


@asynccontextmanager
async def idle_node(folder: Path, **settings: Any) -> AsyncIterator[tuple[Node, Mapping[str, Nameserver]]]:
    """Run a node with hosts that follow prefixes, and two tokens for them; it does not lead yet."""
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers, node_on(store, servers, **settings) as node:
            second = document("Token", "second", account="alice", sha256=digest(SECOND_SECRET))
            followers = [host(name, ipv6Suffix="::1") for name in HOSTS]
            await node.apply(*example(), *followers, second, document("Account", "bob"))
            yield node, servers
    finally:
        await store.close()


async def sent(node: Node, asked: Request) -> asyncio.Task[UpdateResult]:
    """Send a prefix, and wait until it is committed."""
    before = {entry.revision for entry in node.state.prefixes.values()}
    asking = asyncio.create_task(node.ask(asked))
    await node.until(lambda: any(entry.revision not in before for entry in node.state.prefixes.values()))
    return asking


async def test_of_two_tokens_prefixes_the_newer_one_wins_where_they_overlap(tmp_path: Path) -> None:
    async with idle_node(tmp_path) as (node, servers):
        older = await sent(node, prefix(ONE))
        newer = await sent(node, prefix(TWO, SECOND_SECRET))
        node.lead()
        assert await older == (Moved(BLOG, ONE, 3, 3),)
        assert await newer == (Moved(BLOG, TWO, 3, 3),)
        assert await zone_of(servers["default"]) == {(name, "AAAA"): ("2001:db8:2::1",) for name in HOSTS}
        await node.until(lambda: not node.state.prefixes and not node.state.prefix_heads)


async def test_of_moves_that_end_at_the_same_moment_the_last_takes_the_head_with_it(tmp_path: Path) -> None:
    async with idle_node(tmp_path) as (node, _):
        for round in range(10):
            asked = await sent(node, prefix(f"2001:db8:{round}1::/64"))
            others = await sent(node, prefix(f"2001:db8:{round}2::/64", SECOND_SECRET))
            node.lead()
            await asyncio.gather(asked, others)
            await node.until(lambda: not node.state.prefixes)
            assert not node.state.prefix_heads
            await node.stop_leading()


async def test_a_newer_prefix_that_has_no_room_for_a_hosts_subnet_leaves_it_to_the_older(
    tmp_path: Path,
) -> None:
    async with idle_node(tmp_path) as (node, servers):
        await node.apply(host(HOSTS[0], ipv6Suffix="::1", ipv6Subnet="ff"))
        older = await sent(node, prefix("2001:db8:1::/56"))
        newer = await sent(node, prefix(TWO, SECOND_SECRET))
        node.lead()
        await asyncio.gather(older, newer)
        found = await zone_of(servers["default"])
        assert found.pop((HOSTS[0], "AAAA")) == ("2001:db8:1:ff::1",)
        assert set(found.values()) == {("2001:db8:2::1",)}


@pytest.mark.parametrize(
    "change",
    [
        host(HOSTS[0], ipv6Suffix="::1", enabled=False),
        host(HOSTS[0]),
        document("Host", HOSTS[0], account="bob", ipv6Suffix="::1"),
    ],
    ids=["disabled", "follows no more", "somebody else's"],
)
async def test_a_host_that_stops_to_follow_is_not_waited_for(tmp_path: Path, change: dict[str, Any]) -> None:
    async with idle_node(tmp_path) as (node, servers):
        node.lead()
        await node.update(HOSTS[0], "2001:db8::5")
        await node.stop_leading()
        asking = await sent(node, prefix(ONE))
        await node.apply(change)
        node.lead()
        async with asyncio.timeout(4):  # half of what the answer may take
            assert await asking == (Moved(BLOG, ONE, 3, 3),)
        found = await zone_of(servers["default"])
        assert {name: found[name, "AAAA"] for name in HOSTS[1:]} == dict.fromkeys(
            HOSTS[1:], ("2001:db8:1::1",)
        )


async def test_the_host_that_the_client_named_is_changed_once(tmp_path: Path) -> None:
    async with idle_node(tmp_path) as (node, _):
        asked = await sent(node, prefix(ONE)._replace(domain=HOSTS[0]))
        revision = node.state.addresses[FIRST].revision
        node.lead()
        assert await asked == (
            Updated(HOSTS[0], "2001:db8:1::1", Family.AAAA, ""),
            Moved(HOSTS[0], ONE, 3, 3),
        )
        await node.until(lambda: not node.state.prefixes)
        assert node.state.addresses[FIRST].revision == revision


class Refusing(ForwardingNameserver):
    """A nameserver that refuses whatever is said of one name."""

    def __init__(self, real: LoadedNameserver, name: str) -> None:
        super().__init__(real)
        self.name = name

    async def update(self, update: Update) -> Rcode:
        if any(change.name == self.name for change in update.changes):
            return Rcode.REFUSED
        return await super().update(update)


async def test_a_host_that_the_nameserver_refuses_delays_no_other_and_is_no_change_when_sent_again(
    tmp_path: Path,
    store: EmbeddedStore,
) -> None:
    async with embedded_nameservers(tmp_path) as servers:
        refusing = Refusing(servers["default"], HOSTS[0])
        async with node_on(store, {"default": refusing}) as node:
            node.lead()
            await node.apply(*example(), *(host(name, ipv6Suffix="::1") for name in HOSTS))
            await node.published()  # what the zone is opened with is not refused
            assert await node.ask(prefix(ONE)) is Refusal.NAMESERVER_FAILED
            others = [RecordKey(name, Family.AAAA) for name in HOSTS[1:]]
            await node.until(lambda: all(node.state.published[each].value.revision > 0 for each in others))
            found = await zone_of(servers["default"])
            assert found == {(name, "AAAA"): ("2001:db8:1::1",) for name in HOSTS[1:]}
            tried = node.state.addresses[FIRST].revision
            assert await node.ask(prefix(ONE)) is Refusal.NAMESERVER_FAILED
            assert node.state.addresses[FIRST].revision == tried, "the refusal is the answer for a while"
            assert len(list(entries(node.state.history[HOSTS[0]].value))) == 1, "but the same change"


class Meanwhile(ForwardingStore):
    """A store at which something happens just before the next prefix is committed."""

    def __init__(self, real: Store) -> None:
        super().__init__(real)
        self.happens: Callable[[], Awaitable[None]] | None = None

    async def commit(self, updates: Sequence[StoreUpdate]) -> Sequence[Outcome]:
        if self.happens and any(key.startswith(f"{keys.PREFIXES}/") for each in updates for key in each.puts):
            happens, self.happens = self.happens, None
            await happens()
        return await super().commit(updates)


async def test_who_sends_a_prefix_is_told_of_a_host_that_was_there_and_is_changed_before_the_commit(
    tmp_path: Path,
    store: EmbeddedStore,
) -> None:
    meanwhile = Meanwhile(store)
    async with embedded_nameservers(tmp_path) as servers:
        nameserver = Refusing(servers["default"], "")
        ours = {"default": nameserver}
        async with node_on(store, ours) as leader, node_on(meanwhile, ours) as node:
            leader.lead()
            await node.apply(*example(), *(host(name, ipv6Suffix="::1") for name in HOSTS))
            assert isinstance(await node.ask(prefix(ONE)), tuple)
            await leader.update(HOSTS[1], "2001:db8::5")  # so that there is something to move

            async def changed() -> None:
                await leader.update(HOSTS[0], "2001:db8::5")
                nameserver.name = HOSTS[0]

            meanwhile.happens = changed
            assert await node.ask(prefix(ONE)) is Refusal.NAMESERVER_FAILED
            found = await zone_of(servers["default"])
            assert found[HOSTS[0], "AAAA"] == ("2001:db8::5",), "which is not below the prefix"


class Slow(ForwardingNameserver):
    """A nameserver that takes no addresses of one zone until it is `released`."""

    def __init__(self, real: LoadedNameserver, zone: str) -> None:
        super().__init__(real)
        self._zone = zone
        self.released = asyncio.Event()

    async def update(self, update: Update) -> Rcode:
        if update.zone == self._zone and any(change.type is RecordType.AAAA for change in update.changes):
            await self.released.wait()
        return await super().update(update)


async def test_a_move_that_waits_for_its_nameserver_keeps_no_other_waiting(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    limits = PrefixLimits(hosts=1, at_once=1, most_pending=0, longest_pause=60.0)
    async with embedded_nameservers(tmp_path) as servers:
        slow = Slow(servers["default"], "slow.example")
        async with node_on(store, {"default": slow}, policy=replace(POLICY, prefixes=limits)) as node:
            node.lead()
            token = document("Token", "bobs", account="bob", sha256=digest(SECOND_SECRET))
            theirs = [f"h{number}.slow.example" for number in range(3)]
            await node.apply(*example(), zone("slow.example"), document("Account", "bob"), token)
            await node.apply(host(HOSTS[0], ipv6Suffix="::1"))
            await node.apply(*(document("Host", name, account="bob", ipv6Suffix="::1") for name in theirs))
            large = await sent(node, prefix(ONE, SECOND_SECRET)._replace(domain=theirs[0]))
            await node.until(lambda: any(record.name in theirs for record in node.state.addresses))
            async with asyncio.timeout(4):
                assert await node.ask(prefix(ONE)) == (Moved(BLOG, ONE, 1, 1),)
            assert not large.done()
            slow.released.set()
            assert isinstance(await large, tuple)


async def test_a_prefix_refreshes_the_hosts_that_follow_it(tmp_path: Path) -> None:
    clock = Clock()
    async with single_node(tmp_path, policy=clock.policy()) as (node, servers):
        await node.apply(*example(), *(host(name, ipv6Suffix="::1", expiresAfter=600) for name in HOSTS))
        await node.ask(prefix(ONE))
        await _see(node, HOSTS[0], timedelta(minutes=5))
        assert await node.ask(prefix(ONE)) == (Moved(BLOG, ONE, 3, 0),)
        await node.until(lambda: _age(node, HOSTS[0]) < timedelta(minutes=1))
        await clock.move(601 + LOOK)
        await node.until(lambda: FIRST not in node.state.addresses)
        assert await node.ask(prefix(ONE)) == (Moved(BLOG, ONE, 3, 3),)
        await clock.move(600 - LOOK)
        assert FIRST in node.state.addresses, "else it would expire again at once"
        assert (await zone_of(servers["default"]))[HOSTS[0], "AAAA"] == ("2001:db8:1::1",)


async def _see(node: Node, name: str, ago: timedelta) -> None:
    seen = tables.encode(LastSeen(datetime.now(UTC) - ago))
    await node.commits.commit(StoreUpdate({}, {keys.seen(name): seen}))
    await node.cache.current()


def _age(node: Node, name: str) -> timedelta:
    return datetime.now(UTC) - node.state.seen[name].value.at


async def test_who_asks_for_a_prefix_on_its_way_is_told_of_a_change_as_the_first_one_is(
    tmp_path: Path,
) -> None:
    async with idle_node(tmp_path) as (node, _):
        first = await sent(node, prefix(ONE))
        second = asyncio.create_task(node.ask(prefix(ONE)))
        await node.until(lambda: node.updates.in_flight == 2)
        node.lead()
        assert await first == await second == (Moved(BLOG, ONE, 3, 3),)


async def test_withdrawing_both_families_succeeds_where_one_was_taken_from_the_host(tmp_path: Path) -> None:
    async with idle_node(tmp_path) as (node, servers):
        node.lead()
        await node.ask(Request(BLOG, "192.0.2.1", SECRET, "", ipv6="2001:db8::1"))
        await node.stop_leading()
        await node.apply(host(BLOG, families=["A"]))
        both = Request(BLOG, "", SECRET, "", clear=(Family.A, Family.AAAA))
        asking = asyncio.create_task(node.ask(both))
        await node.until(lambda: node.state.addresses[RecordKey(BLOG, Family.A)].value.is_tombstone)
        node.lead()
        answer = await asking
        assert isinstance(answer, tuple), answer
        assert answer[0] == Updated(BLOG, "", Family.A, "192.0.2.1")
        await node.until(lambda: not node.state.published)
        assert await zone_of(servers["default"]) == {}
