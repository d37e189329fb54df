"""All that a host can have beside one address: what is published, in which UPDATE, what is left behind."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from ddnsd.model.addresses import Family
from ddnsd.model.records import LastSeen, RecordKey, entries
from ddnsd.model.request import Moved, Refusal, Request, Unchanged, Updated
from ddnsd.model.resources import Kind
from ddnsd.nameserver.interface import LoadedNameserver, Nameserver, Rcode, RecordType, Replace, Update
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from tests.leader.faults import Fault, FaultyNameserver, Trigger
from tests.leader.node import (
    BLOG,
    LOOK,
    POLICY,
    SECRET,
    ZONE,
    Clock,
    embedded_nameservers,
    example,
    host,
    node_on,
    single_node,
    zone,
    zone_of,
)
from tests.narrow import only
from tests.rigs.forwarding import ForwardingNameserver
from tests.waiting import until

BLOG_A = RecordKey(BLOG, Family.A)
STAR, CHALLENGE = f"*.{BLOG}", f"_acme-challenge.{BLOG}"
BOTH = Request(BLOG, "192.0.2.1", SECRET, "", ipv6="2001:db8::1")
CLEAR = Request(BLOG, "", SECRET, "", clear=(Family.A, Family.AAAA))

ONE, TWO, THREE = (word.ljust(43, "_") for word in ("one", "two", "three"))


def prefix(text: str, name: str = BLOG) -> Request:
    return Request(name, "", SECRET, "", prefix=text)


def challenge(value: str) -> Request:
    return Request(BLOG, "", SECRET, "", text=value)


async def test_both_families_are_one_commit_and_one_update(tmp_path: Path, store: EmbeddedStore) -> None:
    updates: list[Update] = []
    async with embedded_nameservers(tmp_path) as servers:
        watched = FaultyNameserver(servers["default"], Trigger(Fault.LOST, 0), updates.append)
        async with node_on(store, {"default": watched}) as node:
            node.lead()
            await node.apply(*example())
            await node.published()
            answer = await node.ask(BOTH)
            assert answer == (
                Updated(BLOG, "192.0.2.1", Family.A, ""),
                Updated(BLOG, "2001:db8::1", Family.AAAA, ""),
            )
            revisions = {entry.revision for entry in node.state.addresses.values()}
            assert len(revisions) == 1
            (update,) = [each for each in updates if any(change.name == BLOG for change in each.changes)]
            assert {change.type for change in update.changes} == {RecordType.A, RecordType.AAAA}
            assert await node.ask(BOTH) == (
                Unchanged(BLOG, "192.0.2.1", Family.A),
                Unchanged(BLOG, "2001:db8::1", Family.AAAA),
            )


async def test_a_withdrawn_address_leaves_the_zone_and_the_store(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.ask(BOTH)
        only_six = CLEAR._replace(clear=(Family.AAAA,))
        assert await node.ask(only_six) == (Updated(BLOG, "", Family.AAAA, "2001:db8::1"),)
        assert await zone_of(servers["default"]) == {(BLOG, "A"): ("192.0.2.1",)}
        await node.until(lambda: list(node.state.addresses) == [RecordKey(BLOG, Family.A)])
        assert await node.ask(CLEAR) == (
            Updated(BLOG, "", Family.A, "192.0.2.1"),
            Unchanged(BLOG, "", Family.AAAA),
        )
        assert await zone_of(servers["default"]) == {}
        assert await node.update(BLOG, "192.0.2.2") == Updated(BLOG, "192.0.2.2", Family.A, "")
        assert BLOG in node.state.hosts


async def test_who_set_an_address_that_somebody_withdraws_is_told_once_that_is_done(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        await node.apply(*example())
        record = RecordKey(BLOG, Family.A)
        setting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: record in node.state.addresses)
        clearing = asyncio.create_task(node.ask(CLEAR))
        await node.until(lambda: node.state.addresses[record].value.is_tombstone)
        assert not setting.done()
        node.lead()
        assert await setting == Updated(BLOG, "192.0.2.1", Family.A, "")
        assert only(tuple, await clearing)[0] == Updated(BLOG, "", Family.A, "192.0.2.1")
        assert await zone_of(servers["default"]) == {}


# Wildcards


async def test_a_wildcard_is_published_with_its_host_and_goes_with_it(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example()[:-1], host(BLOG, wildcard=True))
        await node.ask(BOTH)
        assert await zone_of(servers["default"]) == {
            (name, type): (ip,)
            for name in (BLOG, STAR)
            for type, ip in (("A", "192.0.2.1"), ("AAAA", "2001:db8::1"))
        }
        await node.ask(CLEAR._replace(clear=(Family.AAAA,)))
        assert set(await zone_of(servers["default"])) == {(BLOG, "A"), (STAR, "A")}
        await node.delete(Kind.HOST, BLOG)
        await node.until(lambda: not node.state.addresses and not node.state.published)
        assert await zone_of(servers["default"]) == {}


async def test_a_wildcard_comes_and_goes_with_the_setting(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await node.apply(host(BLOG, wildcard=True))
        await node.published()
        assert set(await zone_of(servers["default"])) == {(BLOG, "A"), (STAR, "A")}
        await node.apply(host(BLOG))
        await node.published()
        assert set(await zone_of(servers["default"])) == {(BLOG, "A")}


async def test_somebody_elses_wildcard_is_left_alone(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await put(servers["default"], STAR, "198.51.100.1")
        await node.update(BLOG, "192.0.2.2")
        await node.delete(Kind.HOST, BLOG)
        await node.until(lambda: not node.state.published)
        assert await zone_of(servers["default"]) == {(STAR, "A"): ("198.51.100.1",)}


async def test_a_wildcard_goes_along_when_its_zone_moves_though_it_is_given_up_meanwhile(
    tmp_path: Path,
) -> None:
    async with single_node(tmp_path, "default", "second") as (node, servers):
        await node.apply(*example()[:-1], host(BLOG, wildcard=True))
        await node.update(BLOG, "192.0.2.1")
        await node.apply(zone(nameserver="second"))
        await node.apply(host(BLOG))
        await node.published()
        assert await zone_of(servers["second"]) == {(BLOG, "A"): ("192.0.2.1",)}
        await node.until(lambda: not any(entry.value.wildcard for entry in node.state.published.values()))


async def put(nameserver: Nameserver, name: str, ip: str) -> None:
    """Write a record past ddnsd."""
    await nameserver.update(Update(ZONE, (), (Replace(name, RecordType.A, 60, (ip,)),)))


async def test_a_wildcard_that_drifted_is_found_and_mended(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example()[:-1], host(BLOG, wildcard=True))
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        await put(servers["default"], STAR, "198.51.100.1")
        await node.repair()
        await node.published()
        assert (await zone_of(servers["default"]))[STAR, "A"] == ("192.0.2.1",)


# Challenges


async def test_challenges_are_published_two_at_a_time_and_are_over_after_a_day(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with single_node(tmp_path, policy=clock.policy()) as (node, servers):
        await node.apply(*example())
        for value in (ONE, TWO, THREE):
            assert isinstance(await node.ask(challenge(value)), tuple)
        assert await zone_of(servers["default"]) == {(CHALLENGE, "TXT"): (THREE, TWO)}
        clock.stop_process(24 * 3600 - 2 * LOOK)
        await clock.move(LOOK)
        assert await zone_of(servers["default"]) == {(CHALLENGE, "TXT"): (THREE, TWO)}
        await clock.move(2 * LOOK)
        await node.until(lambda: not node.state.addresses and not node.state.published)
        assert await zone_of(servers["default"]) == {}


async def test_challenges_go_with_their_host(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.ask(challenge(ONE))
        await node.delete(Kind.HOST, BLOG)
        await node.until(lambda: not node.state.addresses and not node.state.published)
        assert await zone_of(servers["default"]) == {}


# Prefixes


async def test_a_prefix_moves_all_that_follow_and_nothing_else(tmp_path: Path) -> None:
    names = [f"h{number}.example.com" for number in range(60)]
    async with single_node(tmp_path) as (node, servers):
        documents = [host(name, ipv6Suffix=f"::{number:x}:1") for number, name in enumerate(names)]
        await node.apply(*example(BLOG), *documents[:30])
        await node.apply(*documents[30:])
        await asyncio.gather(*(node.update(name, "192.0.2.1") for name in (BLOG, *names)))
        answer = await node.ask(prefix("2001:db8:1:2::/64"))
        assert answer == (Moved(BLOG, "2001:db8:1:2::/64", 60, 60),)
        found = await zone_of(servers["default"])
        for number, name in enumerate(names):
            suffix = f"{number:x}:1" if number else "1"
            assert found.pop((name, "AAAA")) == (f"2001:db8:1:2::{suffix}",)
        assert found == {(name, "A"): ("192.0.2.1",) for name in (BLOG, *names)}
        await node.until(lambda: not node.state.prefixes)
        assert await node.ask(prefix("2001:db8:1:2::/64")) == (Moved(BLOG, "2001:db8:1:2::/64", 60, 0),)


async def test_a_move_that_nobody_finished_is_finished_by_the_next_leader(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        names = [f"h{number}.example.com" for number in range(50)]
        await node.apply(*example(BLOG), *(host(name, ipv6Suffix="::1") for name in names))
        asked = asyncio.create_task(node.ask(prefix("2001:db8::/64")))
        await node.until(lambda: bool(node.state.prefixes))
        later = [node.ask(Request(names[0], "2001:db8:ffff::1", SECRET, ""))]
        pending = asyncio.gather(*later)
        await node.until(lambda: RecordKey(names[0], Family.AAAA) in node.state.addresses)
        node.lead()
        assert await asked == (Moved(BLOG, "2001:db8::/64", 50, 50),)
        await pending
        found = await zone_of(servers["default"])
        assert found.pop((names[0], "AAAA")) == ("2001:db8:ffff::1",), "what was committed later stays"
        assert found == {(name, "AAAA"): ("2001:db8::1",) for name in names[1:]}


async def test_a_host_that_is_gone_follows_no_more(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, _):
        await node.apply(*example(BLOG), *(host(f"h{n}.example.com", ipv6Suffix="::1") for n in range(3)))
        first = await node.ask(prefix("2001:db8::/64"))
        assert first == (Moved(BLOG, "2001:db8::/64", 3, 3),)
        await node.delete(Kind.HOST, "h1.example.com")
        assert await node.ask(prefix("2001:db8:1::/64")) == (Moved(BLOG, "2001:db8:1::/64", 2, 2),)


# The clock


async def test_a_host_that_nobody_refreshes_expires_and_one_that_is_refreshed_does_not(
    tmp_path: Path,
) -> None:
    clock, other = Clock(), "other.example.com"
    async with single_node(tmp_path, policy=clock.policy(grace=10)) as (node, servers):
        await node.apply(*example(BLOG, other))
        await node.apply(host(BLOG, expiresAfter=60), host(other, expiresAfter=60))
        await asyncio.gather(node.ask(BOTH), node.update(other, "192.0.2.2"))
        await clock.move(30)
        seen = tables.encode(LastSeen(datetime.now(UTC)))
        await node.commits.commit(StoreUpdate({}, {keys.seen(BLOG): seen}))
        await node.cache.current()
        await clock.move(50)
        await node.until(lambda: RecordKey(other, Family.A) not in node.state.addresses)
        await until(lambda: b"ddnsd_hosts_expiring 1.0" in node.metrics.text())
        assert set(await zone_of(servers["default"])) == {(BLOG, "A"), (BLOG, "AAAA")}
        (expired,) = [entry for entry in entries(node.state.history[other].value) if entry.api == "expiry"]
        assert (expired.old, expired.new, expired.token) == ("192.0.2.2", "", "")
        assert await node.update(other, "192.0.2.2") == Updated(other, "192.0.2.2", Family.A, "")


async def test_a_leader_that_has_just_begun_lets_nothing_expire(tmp_path: Path) -> None:
    clock = Clock()
    async with single_node(tmp_path, policy=clock.policy(grace=900)) as (node, servers):
        await node.apply(*example(BLOG))
        await node.apply(host(BLOG, expiresAfter=600))
        await node.update(BLOG, "192.0.2.1")
        await node.stop_leading()
        ago = datetime.now(UTC) - timedelta(hours=1)
        old = structs.replace(node.state.addresses[BLOG_A].value, changed=ago)
        puts = {keys.address(BLOG_A): tables.encode(old), keys.seen(BLOG): tables.encode(LastSeen(ago))}
        await node.commits.commit(StoreUpdate({}, puts))
        await node.cache.current()
        node.lead()
        await clock.move(600 - LOOK)
        assert (BLOG, "A") in await zone_of(servers["default"])
        assert await node.update(BLOG, "192.0.2.1") == Unchanged(BLOG, "192.0.2.1", Family.A)
        assert datetime.now(UTC) - node.state.seen[BLOG].value.at < timedelta(minutes=1), "refreshed"


# The history


async def test_a_host_has_its_ten_newest_changes(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, _):
        await node.apply(*example())
        for last in range(1, 13):
            asked = Request(BLOG, f"192.0.2.{last}", SECRET, "198.51.100.1")
            await node.ask(asked)
            await node.ask(asked)
        told = list(entries(node.state.history[BLOG].value))
        assert [entry.new for entry in told] == [f"192.0.2.{last}" for last in range(12, 2, -1)]
        newest = told[0]
        assert (newest.old, newest.type, newest.api) == ("192.0.2.11", "A", "update")
        assert (newest.token, newest.source) == ("router", "198.51.100.1")


async def test_the_oldest_histories_are_forgotten_where_there_are_too_many(tmp_path: Path) -> None:
    names = [f"h{number}.example.com" for number in range(30)]
    async with single_node(tmp_path, policy=replace(POLICY, most_history=20)) as (node, _):
        await node.apply(*example(*names))
        for name in names:
            await node.update(name, "192.0.2.1")
        await node.until(lambda: node.state.history.total <= 20)
        assert set(node.state.history) == set(names[-len(node.state.history) :]), "the newest ones stay"
        assert len(node.state.history) >= 10


class Refusing(ForwardingNameserver):
    """A nameserver that refuses every change of one name, as one with a policy for single names does."""

    def __init__(self, real: LoadedNameserver, name: str) -> None:
        super().__init__(real)
        self._name = name

    async def update(self, update: Update) -> Rcode:
        refused = any(change.name == self._name for change in update.changes)
        return Rcode.REFUSED if refused else await super().update(update)


@pytest.mark.parametrize("served_before", [True, False])
async def test_a_wildcard_that_the_nameserver_refuses_is_in_the_way_no_more_once_it_is_given_up(
    tmp_path: Path, store: EmbeddedStore, *, served_before: bool
) -> None:
    async with embedded_nameservers(tmp_path) as servers:
        refusing = Refusing(servers["default"], STAR)
        async with node_on(store, {"default": refusing}) as node:
            node.lead()
            await node.apply(*example())
            await node.published()  # what the zone is opened with is not refused
            if served_before:
                await node.update(BLOG, "192.0.2.1")
            await node.apply(host(BLOG, wildcard=True))
            assert await node.update(BLOG, "192.0.2.2") is Refusal.NAMESERVER_FAILED
            await node.apply(host(BLOG))
            assert isinstance(await node.update(BLOG, "192.0.2.3"), Updated)
            assert await zone_of(servers["default"]) == {(BLOG, "A"): ("192.0.2.3",)}
            await node.apply(host(BLOG, wildcard=True))
            assert await node.update(BLOG, "192.0.2.4") is Refusal.NAMESERVER_FAILED
            await node.delete(Kind.HOST, BLOG)
            await node.until(lambda: not node.state.addresses and not node.state.published)
            assert await zone_of(servers["default"]) == {}
