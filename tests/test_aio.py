"""Long work on the event loop, in slices."""

import asyncio
import itertools
import time

import pytest

from ddnsd.aio import Gate, Slice, Trigger, cancel, wait_for
from tests.waiting import hold_up, turn_loop

_STEP = 0.0004


def _work() -> None:
    end = time.perf_counter() + _STEP
    while time.perf_counter() < end:
        pass


async def test_scans_that_begin_at_once_take_turns() -> None:
    """Between two turns of the loop only one of them works, and all get on."""
    log: list[int] = []
    over = False

    async def scan(number: int) -> None:
        slice = Slice()
        for _ in range(10):
            await slice.pause()
            log.append(number)
            _work()

    async def tick() -> None:
        while not over:
            log.append(-1)
            await turn_loop()

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*map(scan, range(8)))
    over = True
    await ticking
    turns = [set(group) for is_tick, group in itertools.groupby(log, lambda n: n < 0) if not is_tick]
    assert all(len(turn) == 1 for turn in turns)
    assert sum(number >= 0 for number in log) == 80
    assert len(turns) >= 8 * 10 * _STEP / 0.002  # a slice does not last longer than 2 ms and a step


async def test_all_scans_together_leave_three_quarters_of_the_loop() -> None:
    began = time.perf_counter()
    slices = 0

    async def scan() -> None:
        nonlocal slices
        slice = Slice(0.001)
        for _ in range(5):
            await slice.pause()
            slices += 1
            hold_up(0.001)

    await asyncio.gather(*(scan() for _ in range(4)))
    assert slices == 20
    assert time.perf_counter() - began >= 19 * 0.004 * 0.95  # uvloop's timers have whole milliseconds


async def test_a_share_of_one_gives_way_without_a_rest() -> None:
    slice, count = Slice(0.0, 1.0), 0

    async def other() -> None:
        nonlocal count
        while True:
            count += 1
            await turn_loop()

    task = asyncio.create_task(other())
    for _ in range(50):
        await slice.pause()
        await turn_loop()
    task.cancel()
    assert count >= 49


async def test_one_that_is_cancelled_while_it_waits_takes_no_turn() -> None:
    first = Slice(0.001, 0.005)  # the next turn begins after 0.2 s
    await first.pause()
    doomed = [asyncio.create_task(Slice(10, 0.001).pause()) for _ in range(100)]
    last = asyncio.create_task(Slice().pause())
    await turn_loop()
    for task in doomed:
        task.cancel()
    async with asyncio.timeout(30):  # any of the hundred would have kept it for three hours
        await last


async def test_each_item_comes_once_and_in_order() -> None:
    items = [item async for item in Slice(0.0, 1.0).each(range(100))]
    assert items == list(range(100))


async def test_what_works_on_fails_as_it_would_alone() -> None:
    async def scan() -> None:
        async for item in Slice().each([1, 2]):
            raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        await scan()
    await Slice().pause()  # nobody keeps the turn


def test_another_loop_has_turns_of_its_own() -> None:
    async def scan() -> None:
        await Slice(10, 0.001).pause()

    for _ in range(2):
        asyncio.run(asyncio.wait_for(scan(), 30))


async def test_a_gate_lets_in_no_more_than_it_has_places_and_the_urgent_first() -> None:
    gate, inside, most, order = Gate(lambda: 2), 0, 0, []
    urgent: set[int] = set()
    release = asyncio.Event()

    async def visit(number: int) -> None:
        nonlocal inside, most
        async with gate.place(lambda: number in urgent):
            inside += 1
            most = max(most, inside)
            order.append(number)
            await release.wait()
            await turn_loop()
            inside -= 1

    visits = [asyncio.create_task(visit(number)) for number in range(8)]
    await turn_loop()
    assert order == [0, 1]
    urgent.add(6)  # it has become so while it waits
    release.set()
    await asyncio.gather(*visits)
    assert order == [0, 1, 6, 2, 3, 4, 5, 7]
    assert most == 2


async def test_a_gate_is_not_closed_by_those_that_were_cancelled() -> None:
    """Neither one that waits, nor one that has just been let in, nor one that is inside."""
    gate = Gate(lambda: 1)

    async def stay() -> None:
        async with gate.place(lambda: False):
            await asyncio.Event().wait()

    stays = [asyncio.create_task(stay()) for _ in range(4)]
    await turn_loop()
    stays[2].cancel()  # it waits
    await turn_loop()
    stays[0].cancel()  # it is inside: the next one is let in
    await turn_loop()
    stays[1].cancel()  # that one, before it knows
    stays[3].cancel()
    await asyncio.gather(*stays, return_exceptions=True)
    async with asyncio.timeout(30), gate.place(lambda: False):
        pass


async def test_a_gate_may_have_more_places_later() -> None:
    places = 1
    gate = Gate(lambda: places)
    async with gate.place(lambda: False):
        places = 2
        async with asyncio.timeout(30), gate.place(lambda: False):
            pass


async def test_a_trigger_runs_once_more_for_all_that_came_due_meanwhile() -> None:
    trigger, runs = Trigger(), 0

    async def step() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            trigger.due()
            trigger.due()

    trigger.due()
    running = asyncio.create_task(trigger.run(step))
    await turn_loop(10)
    assert runs == 2
    trigger.due()
    await turn_loop(10)
    assert runs == 3
    await cancel(running)


async def test_a_trigger_tries_again_what_failed_and_raises_the_rest() -> None:
    trigger, failures = Trigger(), list[Exception]()
    outcomes: list[Exception | None] = [OSError("once"), None, ValueError("a bug")]

    async def step() -> None:
        trigger.due()
        if outcome := outcomes.pop(0):
            raise outcome

    trigger.due()
    with pytest.raises(ValueError, match="a bug"):
        await trigger.run(step, retry_on=OSError, retry_after=0, failed=failures.append)
    assert [str(error) for error in failures] == ["once"]


async def test_wait_for_says_whether_the_event_came() -> None:
    event = asyncio.Event()
    assert not await wait_for(event, 0)
    event.set()
    assert await wait_for(event, 10)
