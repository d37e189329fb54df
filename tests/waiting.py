"""Waiting in tests: for a condition, for turns of the event loop, and for time where there is nothing else.

A deadline is only a bound on hanging.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

PATIENCE = 60.0  # seconds; only a failing test waits for it, also beside a load
_GLANCE = 0.01  # seconds between two looks

Item = TypeVar("Item")
Condition = Callable[[], bool | Awaitable[bool]]
What = str | Callable[[], str]


async def until(condition: Condition, seconds: float = PATIENCE, what: What = "a condition") -> float:
    """Wait until the condition holds; return how many seconds that took.

    Raises:
        AssertionError: it does not hold within `seconds`.
    """
    began = time.monotonic()
    while not await _holds(condition):
        _check(began, seconds, what)
        await asyncio.sleep(_GLANCE)
    return time.monotonic() - began


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE, what: What = "a condition") -> float:
    """Do the same where no event loop runs."""
    began = time.monotonic()
    while not condition():
        _check(began, seconds, what)
        time.sleep(_GLANCE)
    return time.monotonic() - began


async def stays(condition: Condition, seconds: float, what: What = "a condition") -> None:
    """Check for so long, at every look, that the condition holds: for what must not happen.

    Raises:
        AssertionError: it does not hold any more.
    """
    async for _ in paced(range(round(seconds / _GLANCE)), _GLANCE):
        assert await _holds(condition), what() if callable(what) else what
    assert await _holds(condition), what() if callable(what) else what


async def settled(value: Callable[[], Item], seconds: float) -> Item:
    """Wait until a value has not changed for so long; return it."""
    before, now = None, value()
    while before is None or before != now:
        before = now
        await asyncio.sleep(seconds)
        now = value()
    return now


async def turn_loop(times: int = 1) -> None:
    """Let the event loop turn: each task that can go on does, once in each turn."""
    for _ in range(times):
        await asyncio.sleep(0)


async def paced(items: Iterable[Item], seconds: float | Callable[[], float]) -> AsyncIterator[Item]:
    """Yield the items, and let so much time pass after each: what comes slowly, or again and again."""
    for item in items:
        yield item
        await asyncio.sleep(seconds() if callable(seconds) else seconds)


def hold_up(seconds: float) -> None:
    """Let nothing else run in this thread, as a process that was stopped, or works on something long."""
    time.sleep(seconds)


async def _holds(condition: Condition) -> bool:
    holds = condition()
    return await holds if inspect.isawaitable(holds) else holds


def _check(began: float, seconds: float, what: What) -> None:
    if time.monotonic() - began >= seconds:
        raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
