import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import ConditionalWrite, Done, Limits, Outcome, Stale, UnavailableError
from ddnsd.telemetry.metrics import COMMIT_OUTCOMES
from tests.rigs.forwarding import ForwardingStore
from tests.rigs.parts import parts_on
from tests.store.contract.actions import DEADLINE, group_commit
from tests.waiting import stays, turn_loop


class Gate(ForwardingStore):
    """A real store whose commits wait until they are let through."""

    def __init__(self, store: EmbeddedStore, limits: Limits) -> None:
        super().__init__(store)
        self._limits = limits
        self.groups: list[list[str]] = []
        self._arrived = asyncio.Condition()
        self._open = asyncio.Semaphore(0)

    @property
    def limits(self) -> Limits:
        return self._limits

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        async with self._arrived:
            self.groups.append([key for update in updates for key in update.puts])
            self._arrived.notify_all()
        async with asyncio.timeout(DEADLINE):
            await self._open.acquire()
        return await self.real.commit(updates)

    async def arrived(self, groups: int) -> None:
        """Wait until so many groups have come in all."""
        async with asyncio.timeout(DEADLINE), self._arrived:
            await self._arrived.wait_for(lambda: len(self.groups) >= groups)

    def let_through(self, groups: int) -> None:
        for _ in range(groups):
            self._open.release()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def gate(store: EmbeddedStore) -> Gate:
    return Gate(store, Limits(group=3, in_flight=1))


def put(commits: GroupCommit, key: str) -> asyncio.Task[Outcome]:
    return asyncio.create_task(commits.commit(ConditionalWrite({}, {key: b""})))


async def queued(*commits: asyncio.Task[Outcome]) -> list[asyncio.Task[Outcome]]:
    """Return the commits once each has run up to where it waits."""
    await turn_loop()
    return list(commits)


async def keys(store: EmbeddedStore) -> set[str]:
    return set((await store.snapshot("k")).items)


async def test_callers_of_one_turn_share_a_commit(store: EmbeddedStore) -> None:
    commits = group_commit(store)
    outcomes = await asyncio.gather(*(put(commits, f"k{number}") for number in range(100)))
    assert outcomes == [Done(2)] * 100
    assert len(await keys(store)) == 100


async def test_callers_share_the_next_commit_while_one_is_in_flight(store: EmbeddedStore, gate: Gate) -> None:
    commits = group_commit(gate)
    first = put(commits, "k0")
    await gate.arrived(1)
    later = await queued(*(put(commits, f"k{number}") for number in range(1, 6)))
    gate.let_through(3)
    assert await asyncio.gather(first, *later) == [Done(2), Done(3), Done(3), Done(3), Done(4), Done(4)]
    assert gate.groups == [["k0"], ["k1", "k2", "k3"], ["k4", "k5"]]


async def test_no_more_groups_are_in_flight_than_the_store_takes(store: EmbeddedStore) -> None:
    gate = Gate(store, Limits(group=1, in_flight=2))
    commits = group_commit(gate)
    answers = await queued(*(put(commits, f"k{number}") for number in range(4)))
    await gate.arrived(2)
    await stays(lambda: len(gate.groups) == 2, 0.02)
    gate.let_through(1)
    await gate.arrived(3)
    gate.let_through(3)
    await asyncio.gather(*answers)
    assert len(gate.groups) == 4


async def test_conflicting_update_waits_and_is_first_in_the_next_group(gate: Gate) -> None:
    commits = group_commit(gate)
    answers = await queued(*(put(commits, key) for key in ("k0", "k0", "k1", "k2", "k3")))
    gate.let_through(2)
    await asyncio.gather(*answers)
    assert gate.groups == [["k0", "k1", "k2"], ["k0", "k3"]]


async def test_each_caller_is_told_its_own_outcome(store: EmbeddedStore) -> None:
    commits = group_commit(store)
    rivals = [commits.commit(ConditionalWrite({"k0": 0}, {"k0": b"%d" % number})) for number in range(10)]
    outcomes = await asyncio.gather(*rivals, commits.commit(ConditionalWrite({"k1": 7}, {"k2": b""})))
    assert isinstance(outcomes[0], Done)
    assert all(isinstance(outcome, Stale) for outcome in outcomes[1:])
    assert outcomes[-1] == Stale(1, {"k1": None})
    assert (await store.snapshot("k")).items["k0"].value == b"0"


async def test_caller_cancelled_while_queued_takes_its_update_back(store: EmbeddedStore, gate: Gate) -> None:
    commits = group_commit(gate)
    first = put(commits, "k0")
    await gate.arrived(1)
    second, third = await queued(put(commits, "k1"), put(commits, "k2"))
    second.cancel()
    gate.let_through(2)
    await asyncio.gather(first, third)
    assert gate.groups == [["k0"], ["k2"]]
    assert await keys(store) == {"k0", "k2"}


async def test_caller_cancelled_in_flight_does_not_disturb_the_others(
    store: EmbeddedStore, gate: Gate
) -> None:
    commits = group_commit(gate)
    first, second = await queued(put(commits, "k0"), put(commits, "k1"))
    await gate.arrived(1)
    first.cancel()
    gate.let_through(1)
    assert await second == Done(2)
    assert first.cancelled()
    assert await keys(store) == {"k0", "k1"}


async def test_each_caller_gets_an_exception_of_its_own(store: EmbeddedStore) -> None:
    commits = group_commit(store)
    await store.close()
    errors = await asyncio.gather(put(commits, "k0"), put(commits, "k1"), return_exceptions=True)
    assert [type(error) for error in errors] == [UnavailableError] * 2
    assert [str(error) for error in errors] == ["the store is closed"] * 2
    assert errors[0] is not errors[1]


async def test_closing_answers_whoever_came_before(store: EmbeddedStore, gate: Gate) -> None:
    commits = group_commit(gate)
    answers = await queued(*(put(commits, f"k{number}") for number in range(5)))
    closing = asyncio.create_task(commits.aclose())
    await gate.arrived(1)
    with pytest.raises(UnavailableError):
        await commits.commit(ConditionalWrite({}, {"late": b""}))
    assert not closing.done()
    gate.let_through(2)
    await asyncio.wait_for(closing, DEADLINE)
    assert [answer.result() for answer in answers] == [Done(2)] * 3 + [Done(3)] * 2


async def test_outcomes_are_counted(store: EmbeddedStore) -> None:
    parts = parts_on(store, DEADLINE)
    commits = parts.commits
    await asyncio.gather(put(commits, "k0"), put(commits, "k1"), commits.commit(ConditionalWrite({"k2": 7})))
    await store.close()
    await asyncio.gather(put(commits, "k0"), return_exceptions=True)
    counts = {
        outcome: parts.counts.get_sample_value("ddnsd_commit_updates_total", {"outcome": outcome})
        for outcome in COMMIT_OUTCOMES
    }
    assert counts == {"done": 2, "stale": 1, "unknown": 0, "unavailable": 1}
    assert parts.counts.get_sample_value("ddnsd_commit_groups_total") == 2


async def test_no_caller_is_forgotten(store: EmbeddedStore) -> None:
    """Callers come at every point of a group's life; one that found no sender would hang."""
    commits = group_commit(store)

    async def commit_often(key: str) -> None:
        for turns in range(100):
            for _ in range(turns % 7):
                await turn_loop()
            await commits.commit(ConditionalWrite({}, {key: b""}))

    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*(commit_often(f"k{number}") for number in range(5)))


async def test_store_that_fails_otherwise_leaves_nobody_waiting(store: EmbeddedStore) -> None:
    gate = Gate(store, Limits(group=store.limits.group + 1, in_flight=1))  # more than the store takes
    gate.let_through(2)
    commits = group_commit(gate)
    answers = await queued(*(put(commits, f"k{number}") for number in range(store.limits.group + 2)))
    async with asyncio.timeout(DEADLINE):
        *errors, last = await asyncio.gather(*answers, return_exceptions=True)
    assert {str(error) for error in errors} == {"501 updates in one commit; 500 at most"}
    assert last == Done(2)
