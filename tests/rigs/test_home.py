"""A client's machine: it has its own files and address, and changes none of this one's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.home import Home
from tests.rigs.network import Network


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Network() as network, Home(network.place("home"), tmp_path / "home") as home:
        yield home


async def test_its_files_are_its_own(home: Home) -> None:
    before = Path("/etc/hosts").read_text()
    home.write("/etc/hosts", "192.0.2.1 somewhere\n", 0o644)
    assert (await home.run("getent", "hosts", "somewhere")).text.startswith("192.0.2.1")
    assert await home.run("sh", "-c", "echo said >/etc/new && cat /etc/passwd") == (
        0,
        Path("/etc/passwd").read_text(),
    )
    assert home.read("/etc/new") == "said\n"
    assert Path("/etc/hosts").read_text() == before
    assert not Path("/etc/new").exists()


async def test_a_link_does_not_lead_out_of_it(home: Home) -> None:
    await home.run("ln", "-sf", "/tmp/ddnsd-outside", "/etc/link")
    home.write("/etc/link", "inside\n")
    assert home.read("/etc/link") == "inside\n"
    assert not Path("/tmp/ddnsd-outside").exists()


async def test_it_moves(home: Home) -> None:
    address = f"{home.address.rpartition('.')[0]}.200"
    home.move(address)
    shown = await home.run("ip", "-4", "-o", "addr", "show", "dev", "eth0")
    assert shown.text.count("inet ") == 1
    assert f"inet {address}/24" in shown.text


async def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    with Network() as network, Home(network.place("home"), tmp_path / "home") as home:
        process = home.start("sleep", "600", log="sleep")
        assert process.running
    assert not process.running
