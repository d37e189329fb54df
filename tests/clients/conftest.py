"""An Internet for each module; for each test a host without an address and a home."""

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.internet import Internet
from tests.clients.outcomes import Outcome
from tests.clients.packages import Package
from tests.rigs.home import Home
from tests.system.installation import example

HOSTS = ("blog.example.com", "nas.example.com")
FAKETIME = Package("debian", "faketime")
_PASSED = pytest.StashKey[bool]()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def internet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Internet]:
    async with Internet(tmp_path_factory.mktemp("internet")) as internet:
        await internet.ddnsd.apply(*example(HOSTS))
        yield internet


@pytest_asyncio.fixture(loop_scope="module")
async def home(internet: Internet) -> AsyncIterator[Home]:
    """A client's machine; its hosts have no address yet."""
    for host in HOSTS:
        await internet.ddnsd.admin("DELETE", f"hosts/{host}")
    await internet.ddnsd.apply(*example(HOSTS))
    with internet.home() as home:
        yield home


@pytest.fixture
def outcome(request: pytest.FixtureRequest) -> Iterator[Outcome]:
    """Takes what a test that `shows` a row of the table has seen."""
    shown = request.node.get_closest_marker("shows").args[0]
    for package in (*shown.client.packages, FAKETIME):
        package.require()
    outcome = Outcome(shown)
    yield outcome
    assert outcome.told or not request.node.stash[_PASSED], "the test tells nothing of what it saw"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report
