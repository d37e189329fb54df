"""What regions can lose for as long as a block takes; it comes back behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tests.system.load import UNCHANGED, UPDATED, address
from tests.system.regional_traffic import CHANGED
from tests.system.regions import HOME, NEXT, Regions
from tests.waiting import until

Loss = Callable[[Regions], AbstractAsyncContextManager[None]]
MOVED = address(1 << 21)  # nobody else's


def cut_off(name: str) -> Loss:
    """Nothing passes between a region and the others; its own clients still reach it."""

    @asynccontextmanager
    async def loss(regions: Regions) -> AsyncIterator[None]:
        regions.wan.isolate(name)
        yield
        regions.wan.heal()

    return loss


def without_link(one: str, other: str) -> Loss:
    @asynccontextmanager
    async def loss(regions: Regions) -> AsyncIterator[None]:
        regions.wan.cut((one, other))
        yield
        regions.wan.heal()

    return loss


def dead(name: str) -> Loss:
    """All of a region's processes are killed, and start again with what they have on disk."""

    @asynccontextmanager
    async def loss(regions: Regions) -> AsyncIterator[None]:
        await regions.kill(name)
        yield
        await regions.restart(name)

    return loss


@asynccontextmanager
async def primary_moved(regions: Regions) -> AsyncIterator[None]:
    """The primary's region is dead, and another one's secondary made the primary.

    Then it comes back without its primary, and with its old configuration.
    """
    await regions.kill(HOME)
    await regions.move_primary(NEXT)

    async def publishes() -> bool:
        reply = await regions.all[NEXT].node.update(CHANGED[NEXT], MOVED)
        return reply.message in (UPDATED, UNCHANGED)

    await until(publishes, 60, "the new primary is published to")
    await regions.follow("ap-south")
    yield
    await regions.restart_etcd(HOME)
    await asyncio.gather(regions.home.node.start(), regions.follow(HOME))


@asynccontextmanager
async def leader_killed(regions: Regions) -> AsyncIterator[None]:
    await regions.home.node.kill()
    yield
    await regions.home.node.start()


@asynccontextmanager
async def primary_killed(regions: Regions) -> AsyncIterator[None]:
    regions.primary.kill()
    yield
    await regions.primary.restart()


@asynccontextmanager
async def member_killed(regions: Regions) -> AsyncIterator[None]:
    regions.home.members[0].kill()
    yield
    regions.home.members[0].launch()
