"""For the tests of the HTTP listeners."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.narrow import only

ON_BOTH_LOOPS = (
    *("test_connections", "test_gate", "test_half_closed", "test_server", "test_slowdown"),
    *("test_smuggling", "test_tls", "test_application", "test_health", "test_fair_queue"),
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests that strain a loop's transports on uvloop too, which ddnsd uses where there is one."""
    loops = {"asyncio": asyncio.new_event_loop}
    if only(pytest.Function, item).module.__name__.rpartition(".")[2] in ON_BOTH_LOOPS:
        loops["uvloop"] = uvloop.new_event_loop
    return loops
