"""An embedded nameserver on a free port, with one small zone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import pytest
import uvloop

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.interface import RecordType, RRset
from tests.narrow import only
from tests.waiting import turn_loop

ON_BOTH_LOOPS = ("test_embedded_stream", "test_embedded_hostile")  # where the loops' transports differ
Ask = Callable[..., Awaitable[dns.message.Message]]

CONTENTS = (
    RRset("blog.example.com", RecordType.A, 60, ("192.0.2.1",)),
    RRset("blog.example.com", RecordType.AAAA, 60, ("2001:db8::1",)),
    RRset("deep.below.example.com", RecordType.A, 60, ("192.0.2.2",)),
    RRset("many.example.com", RecordType.TXT, 60, tuple(f"{number:0200}" for number in range(20))),
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests that strain a loop's transports on uvloop too, which ddnsd uses where there is one."""
    loops = {"asyncio": asyncio.new_event_loop}
    if only(pytest.Function, item).module.__name__.endswith(ON_BOTH_LOOPS):
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest.fixture
def contents() -> tuple[RRset, ...]:
    return CONTENTS


@pytest.fixture
def settings(tmp_path: Path) -> EmbeddedSettings:
    return EmbeddedSettings(name="embedded", listen=(("127.0.0.1", 0),), folder=tmp_path / "dns")


@pytest.fixture
async def server(
    settings: EmbeddedSettings, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[EmbeddedNameserver]:
    server = await EmbeddedNameserver.start(settings, ["example.com", "example.net"])
    await server.open("example.com", CONTENTS)
    yield server
    await server.close()
    await turn_loop()
    assert not [record.getMessage() for record in caplog.records if record.name == "asyncio"]


@pytest.fixture
def ask(server: EmbeddedNameserver) -> Ask:
    async def ask(name: str, rdtype: str = "A", **options: Any) -> dns.message.Message:
        host, port = server.addresses[0]
        query = dns.message.make_query(name, rdtype, **options)
        return await dns.asyncquery.udp(query, host, port=port, timeout=5)

    return ask
