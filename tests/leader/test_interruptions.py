"""Every call of the leader, to the nameserver and to the store, is lost once, or is its last.

The same short story is told again and again, and each time another call fails. Afterwards the
nameserver has what is committed, `published` says so, and no name has ever gone back.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey
from ddnsd.model.request import Limited, Refusal, Request, Unchanged, Updated
from ddnsd.model.resources import Kind
from ddnsd.nameserver.embedded import EmbeddedNameserver
from ddnsd.nameserver.interface import QueryRefusedError, RecordType, Update
from ddnsd.store.embedded import open_embedded
from tests.leader.faults import Fault, FaultyNameserver, FaultyStore, Trigger
from tests.leader.node import (
    BLOG,
    SECRET,
    ZONE,
    Node,
    embedded_nameservers,
    example,
    host,
    node_on,
    zone,
    zone_of,
)
from tests.model.whole_zone import contents
from tests.tasks import running

WWW = "www.example.com"
BLOG_A, WWW_A = RecordKey(BLOG, Family.A), RecordKey(WWW, Family.A)
NAMESERVERS = ("default", "second", "third")


class History:
    """What the nameserver served for each name, one after the other. The values of a name count up."""

    def __init__(self) -> None:
        self.values: defaultdict[str, list[str]] = defaultdict(list)

    def look(self, update: Update) -> None:
        for change in update.changes:
            if change.type is RecordType.A:
                self.values[change.name].extend(change.values or [""])

    def check(self, name: str, story: Sequence[str]) -> None:
        """Check that what was served is what was committed, in its order; any of it may be skipped."""
        seen = self.values[name]
        for value in seen:
            assert value in story, f"{name} went back: {seen}"
            story = story[story.index(value) :]


Story = Callable[[Node], Awaitable[str]]


async def changes(node: Node) -> str:
    """Changes, a deletion, a host created anew, TTLs. Return where the zone lives in the end."""
    await node.apply(*example(BLOG, WWW))
    await asyncio.gather(_update(node, BLOG, "10.0.0.1"), _update(node, WWW, "10.0.0.1"))
    await asyncio.gather(_update(node, BLOG, "10.0.0.2"), node.delete(Kind.HOST, WWW))
    await node.apply(host(WWW, ttl=33))
    await asyncio.gather(_update(node, WWW, "10.0.0.4"), _update(node, BLOG, "10.0.0.3"))
    await node.apply(host(BLOG, ttl=44))
    return "default"


async def moves(node: Node) -> str:
    """A zone that moves while its names change, and is deleted and created at a third nameserver."""
    await node.apply(*example(BLOG, WWW))
    await asyncio.gather(_update(node, BLOG, "10.0.0.1"), _update(node, WWW, "10.0.0.1"))
    await asyncio.gather(_update(node, BLOG, "10.0.0.2"), node.apply(zone(nameserver="second")))
    await node.delete(Kind.HOST, WWW)
    await node.delete(Kind.ZONE, ZONE, cascade=True)
    await node.apply(*example(BLOG, WWW, nameserver="third"))
    await asyncio.gather(_update(node, BLOG, "10.0.0.3"), _update(node, WWW, "10.0.0.4"))
    return "third"


async def wildcards(node: Node) -> str:
    """Wildcards that come and go, addresses that are withdrawn, in a zone that moves."""
    await node.apply(*example(WWW), host(BLOG, wildcard=True))
    await asyncio.gather(_update(node, BLOG, "10.0.0.1"), _update(node, WWW, "10.0.0.1"))
    await asyncio.gather(node.apply(host(WWW, wildcard=True)), _update(node, BLOG, "10.0.0.2"))
    await _withdraw(node, WWW)
    await asyncio.gather(node.apply(zone(nameserver="second")), node.apply(host(BLOG)))
    await asyncio.gather(_update(node, WWW, "10.0.0.4"), _update(node, BLOG, "10.0.0.3"))
    await node.apply(host(WWW))
    return "second"


async def prefixes(node: Node) -> str:
    """Hosts that follow prefixes, and one that is told its address in between."""
    followers = [host(name, ipv6Suffix="::1") for name in (BLOG, WWW)]
    await node.apply(*example("plain.example.com"), *followers)
    await asyncio.gather(_update(node, BLOG, "10.0.0.3"), _update(node, WWW, "10.0.0.4"))
    await _move(node, "2001:db8:1::/64")
    await asyncio.gather(_move(node, "2001:db8:2::/64"), _update(node, BLOG, "2001:db8:ffff::1"))
    await _move(node, "2001:db8:3::/64")
    for name in (BLOG, WWW):
        await _withdraw(node, name, Family.AAAA)
    return "default"


async def _move(node: Node, prefix: str) -> None:
    answer = await node.ask(Request("plain.example.com", "", SECRET, "", prefix=prefix))
    assert not isinstance(answer, Refusal | Limited), answer


async def _withdraw(node: Node, name: str, family: Family = Family.A) -> None:
    answer = await node.ask(Request(name, "", SECRET, "", clear=(family,)))
    assert not isinstance(answer, Refusal | Limited), answer


async def _update(node: Node, name: str, ip: str) -> None:
    answer = await node.update(name, ip)
    assert isinstance(answer, Updated | Unchanged), answer
    assert answer.ip == ip


STORIES = (changes, moves, wildcards, prefixes)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_each_call_to_the_nameserver(tmp_path: Path, story: Story, fault: Fault) -> None:
    for at in range(1, 1000):
        if not await _told(tmp_path / str(at), story, Trigger(fault, at), Trigger(fault, 0)):
            break
    assert at > 10, "the story has more calls than that"


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_each_commit_of_the_leader(tmp_path: Path, story: Story, fault: Fault) -> None:
    for at in range(1, 1000):
        if not await _told(tmp_path / str(at), story, Trigger(fault, 0), Trigger(fault, at)):
            break
    assert at > 6, "the story has more commits than that"


async def _told(folder: Path, story: Story, at_nameserver: Trigger, at_store: Trigger) -> bool:
    """Tell the story, check its end; say whether the trigger was reached."""
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder, *NAMESERVERS) as servers:
            histories = {name: History() for name in servers}
            faulty = {
                name: FaultyNameserver(servers[name], at_nameserver, history.look)
                for name, history in histories.items()
            }
            async with (
                node_on(store, faulty) as clients,
                node_on(FaultyStore(store, at_store), faulty) as leader,
                running(_successor(leader, at_nameserver), _successor(leader, at_store)),
            ):
                leader.lead()
                home = await story(clients)
                await clients.published()
                wanted = clients.wanted()
                assert await zone_of(servers[home]) == _by_owner(clients)
                assert clients.state.published.keys() == wanted.keys() == {BLOG_A, WWW_A}
                await _check_left(servers, home)
                at_store.buried.set()  # it may have died of its very last commit
        for history in histories.values():
            for owner in ("", "*."):
                history.check(owner + BLOG, ["10.0.0.1", "10.0.0.2", "10.0.0.3", ""])
                history.check(owner + WWW, ["10.0.0.1", "", "10.0.0.4", ""])
        return at_nameserver.happened and at_store.happened
    finally:
        await store.close()


def _by_owner(node: Node) -> Mapping[tuple[str, str], Sequence[str]]:
    """Return what the zone shall have, by owner name and type."""
    return {
        (name, want.record.type): want.values for want in contents(node.state, ZONE) for name in want.owners
    }


async def _check_left(servers: Mapping[str, EmbeddedNameserver], home: str) -> None:
    """Check that neither a record nor a fence of ours is anywhere but at home."""
    for name, server in servers.items():
        if name != home:
            with suppress(QueryRefusedError):  # it is not open there any more
                parts = [rrset async for part in server.transfer(ZONE) for rrset in part]
                assert [rrset.type for rrset in parts] == [RecordType.SOA]


async def _successor(leader: Node, trigger: Trigger) -> None:
    """After the death of the leader, lead anew."""
    await trigger.died.wait()
    await leader.stop_leading()
    trigger.buried.set()
    leader.lead()
