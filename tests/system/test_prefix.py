"""A router's hosts follow its new prefix, although the leader is killed on the way."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import dns.exception
import pytest

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.client import Record
from tests.rigs.documents import document
from tests.rigs.etcd import Version
from tests.share import FULL_SHARE
from tests.system.cluster import PREFIX, Cluster
from tests.system.http import Client
from tests.system.installation import SECRET, Installation, example
from tests.system.load import NOT_PUBLISHED, UNCHANGED, UPDATED, running
from tests.system.prefix import NEW, OLD, Router
from tests.waiting import paced, until

# In full the leader is killed while it commits addresses; few hosts are all committed at once, and it is
# killed while it publishes. There are many UPDATEs either way.
COUNT, BATCH, TIMEOUT = (10_000, 200, 60) if FULL_SHARE else (300, 3, 8)
ROUTER = Router(COUNT)
SETUP = ["setup-secret-a-0123456789", "setup-secret-b-0123456789"]  # of tokens beside the one that is tested
FAIR_USE = {  # what each token needs once, and a node from all of them
    "token_attempts_burst": COUNT,
    "token_changes_burst": COUNT,
    "account_attempts_burst": 3 * COUNT,
    "account_changes_burst": 3 * COUNT,
}
AT_ONCE = 30  # calls of the setup at a node; no more of one token may wait (`fair_use.token_waiting`)
PATIENCE = 30.0 + TIMEOUT  # seconds in which a client that asks again is told that it is done
LOST = "no answer"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600 if FULL_SHARE else 180)]


@pytest.fixture
async def cluster(etcd_version: Version, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster in which all hosts have both addresses, the one below the old prefix."""
    publish = {"batch": BATCH, "timeout": TIMEOUT}
    async with Cluster(tmp_path, etcd_version, publish=publish, fair_use=FAIR_USE) as cluster:
        tokens = [
            document("Token", f"setup{number}", account="alice", sha256=digest(secret))
            for number, secret in enumerate(SETUP)
        ]
        await cluster.nodes[0].apply(*example([]), *tokens, *ROUTER.documents)
        await asyncio.gather(*(_give_ipv4(cluster, part) for part in range(3)))
        reply = await ROUTER.move(cluster.nodes[0].public, OLD, SETUP[1])
        assert reply.message == UPDATED, reply
        assert await _served(cluster) == {*ROUTER.ipv4, *ROUTER.ipv6(OLD)}
        yield cluster


async def _give_ipv4(cluster: Cluster, part: int) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def give(host: str, ip: str) -> None:
        async with gate:
            reply = await cluster.nodes[part].update(host, ip, SETUP[0])
        assert reply.message == UPDATED, reply

    await asyncio.gather(*(give(record.name, record.value) for record in ROUTER.ipv4[part::3]))


async def test_killed_before_it_begins(cluster: Cluster) -> None:
    """The call is committed while the leader is frozen, and the leader never comes to it."""
    leader, asked = await cluster.leader(), await cluster.follower()
    leader.freeze()
    async with running(Onlooker(cluster.nameserver).run()):
        moving = asyncio.create_task(_insist([asked]))

        async def is_committed() -> bool:
            return bool(_moves(cluster))

        await until(is_committed, 5, "the move is committed")
        await leader.kill()
        assert not await _followed(cluster)
        await moving
    await _done(cluster, leader)


async def test_killed_in_the_middle(cluster: Cluster) -> None:
    leader, asked = await cluster.leader(), await cluster.follower()
    async with running(Onlooker(cluster.nameserver).run()):
        moving = await _killed_in_the_middle(cluster, leader, [asked])
        assert LOST not in await moving
    await _done(cluster, leader)


async def test_killed_in_the_middle_of_the_call_that_it_answers(cluster: Cluster) -> None:
    leader, other = await cluster.leader(), await cluster.follower()
    async with running(Onlooker(cluster.nameserver).run()):
        moving = await _killed_in_the_middle(cluster, leader, [leader, other])
        assert LOST in await moving
    await _done(cluster, leader)


async def test_killed_while_the_nameserver_is_silent(cluster: Cluster) -> None:
    """The client is told to come again, and is not sent away then for having asked before."""
    leader, asked = await cluster.leader(), await cluster.follower()
    async with running(Onlooker(cluster.nameserver).run()):
        cluster.nameserver.freeze()
        moving = asyncio.create_task(_ask(asked))
        await leader.kill()
        assert await moving == NOT_PUBLISHED
        cluster.nameserver.thaw()
        assert (await _insist([asked]))[-1] in (UPDATED, UNCHANGED)
    await _done(cluster, leader)


async def _killed_in_the_middle(
    cluster: Cluster, leader: Installation, asked: Sequence[Installation]
) -> asyncio.Task[Sequence[str]]:
    """Return the call, during which the leader was killed when it had published some of the addresses."""
    before = await _batches(leader)
    moving = asyncio.create_task(_insist(asked))

    async def has_begun() -> bool:
        return await _batches(leader) > before + 2

    await until(has_begun, 5, "the leader publishes")
    await leader.kill()
    assert _moves(cluster) or not FULL_SHARE  # there is one until all is committed
    assert 0 < len(await _followed(cluster)) < COUNT
    return moving


async def _batches(node: Installation) -> float:
    return await node.metric('ddnsd_publish_batches_total{nameserver="default"}')


async def _insist(nodes: Sequence[Installation]) -> Sequence[str]:
    """Make the call until it is done, at the next node after each failure; return what was answered."""
    answers = []
    async with asyncio.timeout(PATIENCE):
        async for node in paced(itertools.cycle(nodes), 0.1):
            answers.append(await _ask(node))
            if answers[-1] in (UPDATED, UNCHANGED):
                return answers
            assert answers[-1] in (NOT_PUBLISHED, LOST)
    raise AssertionError(answers)


async def _ask(node: Installation) -> str:
    client = Client(node.addresses["public"])
    try:
        reply = await ROUTER.move(client, NEW, SECRET)
    except (OSError, asyncio.IncompleteReadError):
        return LOST
    finally:
        await client.close()
    assert reply.status == (500 if reply.message == NOT_PUBLISHED else 200), reply
    return reply.message


async def _done(cluster: Cluster, killed: Installation) -> None:
    """All hosts have followed, each once; no other record was touched; every node knows, also this one."""
    assert await _served(cluster) == {*ROUTER.ipv4, *ROUTER.ipv6(NEW)}
    assert not _moves(cluster)
    assert sorted(_committed(cluster)) == sorted((each.name, each.value) for each in ROUTER.ipv6(NEW))
    await killed.start()
    for node in cluster.nodes:
        hosts = [host async for host in _shown(node)]
        for type, records in (("A", ROUTER.ipv4), ("AAAA", ROUTER.ipv6(NEW))):
            shown = {host["metadata"]["name"]: host["status"][type] for host in hosts}
            assert {host: status["ip"] for host, status in shown.items()} == {
                each.name: each.value for each in records
            }
            assert all(status["published"] and not status["error"] for status in shown.values())


async def _shown(node: Installation) -> AsyncIterator[dict[str, Any]]:
    """Yield the hosts as a node shows them, page by page."""
    target = "hosts?limit=1000"
    while target:
        page = (await node.admin("GET", target)).json
        for host in page["items"]:
            yield host
        after = page["metadata"]["continue"]
        target = f"hosts?limit=1000&continue={after}" if after else ""


def _moves(cluster: Cluster) -> Sequence[str]:
    """Return the keys of the moves that are not done."""
    return cluster.etcd.ctl("get", f"{PREFIX}prefixes/", "--prefix", "--keys-only").split()


def _committed(cluster: Cluster) -> Sequence[tuple[str, str]]:
    """Return host and address of each commit, of all that there were, of an address below the new prefix."""
    shelf, network = f"{PREFIX}addresses/", NEW.partition("::")[0]
    history = cluster.etcd.ctl_of(cluster.etcd.members[0]).history(shelf, since=1)
    commits = [(each.key.removeprefix(shelf), json.loads(each.value)["ip"]) for each in history]
    return [(key.removesuffix("/AAAA"), ip) for key, ip in commits if ip.startswith(f"{network}:")]


async def _followed(cluster: Cluster) -> set[Record]:
    """Return the records below the new prefix that stand in the zone."""
    return await _served(cluster) & set(ROUTER.ipv6(NEW))


async def _served(cluster: Cluster) -> set[Record]:
    """Return the address records that stand in the zone, but for the one of its name server."""
    records = await cluster.nameserver.zone_records(ROUTER.zone)
    return {each for each in records if each.type in ("A", "AAAA") and not each.name.startswith("ns.")}


class Onlooker:
    """Asks for all names over and over: each has the address below the old prefix, then the new one."""

    def __init__(self, nameserver: NameserverRig) -> None:
        self._nameserver = nameserver
        self._followed: set[str] = set()

    async def run(self) -> None:
        """Never ends."""
        everything = list(zip(ROUTER.ipv4, ROUTER.ipv6(OLD), ROUTER.ipv6(NEW), strict=True))
        async for records in paced(itertools.cycle(everything), 0.001):
            with suppress(OSError, dns.exception.DNSException):  # a machine that is very busy
                await self._look(*records)

    async def _look(self, ipv4: Record, old: Record, new: Record) -> None:
        host = ipv4.name
        assert await self._nameserver.query(host, "A") == (ipv4.value,)
        (now,) = await self._nameserver.query(host, "AAAA")
        assert now in ((new.value,) if host in self._followed else (old.value, new.value)), host
        if now == new.value:
            self._followed.add(host)
