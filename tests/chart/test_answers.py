"""The program of `helm test`, with a real node: it passes where all answer, and fails where one does not."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helm import CHART, example, one, render
from tests.rigs.ports import PortLease
from tests.system.installation import Installation


async def ask(*arguments: str) -> int | None:
    """Run the program; return its exit status."""
    program = str(CHART / "files" / "answers.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port on which nobody listens."""
    lease = PortLease()
    yield lease.port
    lease.release()


async def test_it_passes_where_all_answer_and_fails_where_one_does_not(tmp_path: Path, nobody: int) -> None:
    async with Installation(tmp_path) as ddnsd:
        url = f"http://{ddnsd.addresses['public']}/healthz"
        host, _, port = ddnsd.addresses["dns"]["default"].rpartition(":")
        assert await ask(url) == 0
        assert await ask(url, host, port) == 0
        failing = (url, host, str(nobody)), (f"http://127.0.0.1:{nobody}/healthz",), (f"{url}/nothing",)
        assert await asyncio.gather(*(ask(*each) for each in failing)) == [1, 1, 1]


async def test_it_waits_a_moment_for_the_first_answer(tmp_path: Path, nobody: int) -> None:
    asked = asyncio.create_task(ask(f"http://127.0.0.1:{nobody}/healthz"))
    async with Installation(tmp_path, listen={"public": f"127.0.0.1:{nobody}"}):
        assert await asked == 0


def test_it_asks_both_services() -> None:
    arguments = one(render({}), "Pod", "ddnsd-test")["spec"]["containers"][0]["args"]
    assert arguments[0] == (CHART / "files" / "answers.py").read_text()
    assert arguments[1:] == ["http://ddnsd:80/healthz", "ddnsd-dns", "53"]


def test_it_asks_with_tls_where_there_is_and_no_nameserver_where_there_is_none() -> None:
    for name, wanted in (
        ("one-pod", ["https://ddnsd:443/healthz", "ddnsd-dns", "53"]),
        ("cluster", ["http://ddnsd:80/healthz"]),
    ):
        assert one(render(example(name)), "Pod", "ddnsd-test")["spec"]["containers"][0]["args"][1:] == wanted
