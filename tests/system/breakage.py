"""One thing of a cluster, broken for as long as a block takes, and healed behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from tests.rigs.etcd import Member
from tests.rigs.place import Place
from tests.system.cluster import Cluster
from tests.system.installation import Installation


class Part(NamedTuple):
    """One process, and what can be done to it."""

    place: Place
    kill: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    freeze: Callable[[], None]
    thaw: Callable[[], None]


Choice = Callable[[Cluster], Awaitable[Part]]
Breakage = Callable[[Cluster], AbstractAsyncContextManager[None]]


async def follower(cluster: Cluster) -> Part:
    return _node(await cluster.follower())


async def leader(cluster: Cluster) -> Part:
    return _node(await cluster.leader())


async def member(cluster: Cluster) -> Part:
    leader = cluster.etcd.leader()
    return _member(next(member for member in cluster.etcd.members if member is not leader))


async def etcd_leader(cluster: Cluster) -> Part:
    return _member(cluster.etcd.leader())


async def nameserver(cluster: Cluster) -> Part:
    rig = cluster.nameserver

    async def kill() -> None:
        rig.kill()

    return Part(rig.place, kill, rig.restart, rig.freeze, rig.thaw)


def killed(choice: Choice) -> Breakage:
    """kill -9, and a new start."""

    @asynccontextmanager
    async def breakage(cluster: Cluster) -> AsyncIterator[None]:
        part = await choice(cluster)
        await part.kill()
        yield
        await part.start()

    return breakage


def frozen(choice: Choice) -> Breakage:
    """SIGSTOP, and SIGCONT."""

    @asynccontextmanager
    async def breakage(cluster: Cluster) -> AsyncIterator[None]:
        part = await choice(cluster)
        part.freeze()
        yield
        part.thaw()

    return breakage


def isolated(choice: Choice) -> Breakage:
    """Nothing passes between it and all other parts; clients still reach it."""

    @asynccontextmanager
    async def breakage(cluster: Cluster) -> AsyncIterator[None]:
        part = await choice(cluster)
        cluster.isolate(part.place)
        yield
        cluster.network.heal()

    return breakage


@asynccontextmanager
async def leader_without_nameserver(cluster: Cluster) -> AsyncIterator[None]:
    cluster.network.cut((await cluster.leader()).place, cluster.nameserver.place)
    yield
    cluster.network.heal()


@asynccontextmanager
async def etcd_gone(cluster: Cluster) -> AsyncIterator[None]:
    """All members killed."""
    for member in cluster.etcd.members:
        member.kill()
    yield
    for member in cluster.etcd.members:
        member.launch()


def _node(node: Installation) -> Part:
    return Part(node.place, node.kill, node.start, node.freeze, node.thaw)


def _member(member: Member) -> Part:
    async def kill() -> None:
        member.kill()

    async def start() -> None:
        member.launch()

    return Part(member.place, kill, start, member.freeze, member.thaw)
