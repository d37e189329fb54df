"""Waiting in tests: for a condition, with a deadline that is only a bound on hanging."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PATIENCE = 60.0  # seconds; only a failing test waits for it, also beside a load
_GLANCE = 0.01  # seconds between two looks

What = str | Callable[[], str]


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = PATIENCE, what: What = "a condition"
) -> float:
    """Wait until the condition holds; return how many seconds that took.

    Raises:
        AssertionError: it does not hold within `seconds`.
    """
    began = time.monotonic()
    while True:
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return time.monotonic() - began
        _check(began, seconds, what)
        await asyncio.sleep(_GLANCE)


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE, what: What = "a condition") -> float:
    """Do the same where no event loop runs."""
    began = time.monotonic()
    while not condition():
        _check(began, seconds, what)
        time.sleep(_GLANCE)
    return time.monotonic() - began


def _check(began: float, seconds: float, what: What) -> None:
    if time.monotonic() - began >= seconds:
        raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
