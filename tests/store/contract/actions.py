"""What the contract's tests do again and again, by the interface alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import CLOCK, ConditionalWrite, Done, Outcome, Revision, Store
from tests.rigs.parts import parts_on

DEADLINE = 10.0  # seconds; generous, only a failing test waits for it
Compact = Callable[[], Awaitable[None]]


def group_commit(store: Store) -> GroupCommit:
    """Return a group commit of the store that sees no watch, with metrics of its own."""
    return parts_on(store, DEADLINE).commits


async def commit(store: Store, update: ConditionalWrite) -> Outcome:
    """Commit one update alone."""
    (outcome,) = await store.commit([update])
    return outcome


async def write(store: Store, update: ConditionalWrite) -> int:
    """Commit one update that must hold, and return its revision."""
    outcome = await commit(store, update)
    assert isinstance(outcome, Done)
    return outcome.revision


async def put(store: Store, key: str, value: bytes = b"") -> int:
    """Write a key unconditionally and return the revision."""
    return await write(store, ConditionalWrite({}, {key: value}))


async def delete(store: Store, key: str) -> int:
    """Delete a key unconditionally and return the revision."""
    return await write(store, ConditionalWrite({}, deletes=frozenset({key})))


async def take(watch: AsyncIterator[Revision], count: int) -> list[Revision]:
    """Return the next revisions of a watch, without the clock."""
    async with asyncio.timeout(DEADLINE):
        return [without_clock(await anext(watch)) for _ in range(count)]


def without_clock(revision: Revision) -> Revision:
    """Return the revision with the changes that the updates asked for."""
    return Revision(revision.revision, {key: item for key, item in revision.changes.items() if key != CLOCK})
