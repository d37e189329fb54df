"""A script, a token file, a running ddnsd."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scripts.script import SCRIPTS, Script
from tests.system.installation import SECRET, Installation, example

HOSTS = ("blog.example.com", "nas.example.com")


@pytest.fixture(params=SCRIPTS.values(), ids=SCRIPTS.keys())
def script(request: pytest.FixtureRequest) -> Script:
    return request.param()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return write_token(tmp_path / "token", f"{SECRET}\n")


def write_token(path: Path, text: str, mode: int = 0o600) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


@pytest.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[Installation]:
    folder = tmp_path / "ddnsd"
    folder.mkdir()
    async with Installation(folder) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        yield ddnsd
