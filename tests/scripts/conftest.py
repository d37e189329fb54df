"""A script, a token file, a running ddnsd."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scripts.script import SCRIPTS, Script
from tests.system.installation import SECRET, Installation, example

HOSTS = ("blog.example.com", "nas.example.com")


@pytest.fixture(params=list(SCRIPTS.values()), ids=list(SCRIPTS))
def script(request: pytest.FixtureRequest) -> Script:
    found: Script = request.param()
    return found


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_token(tmp_path / "token", f"{SECRET}\n")


def write_token(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with Installation(tmp_path_factory.mktemp("ddnsd")) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        yield ddnsd


@pytest_asyncio.fixture(loop_scope="module")
async def ddnsd(shared: Installation) -> Installation:
    """A ddnsd whose hosts have no address yet; for tests that run in the module's loop."""
    for host in HOSTS:
        await shared.admin("DELETE", f"hosts/{host}")
    await shared.apply(*example(HOSTS))
    return shared
