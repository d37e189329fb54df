"""The network of the cluster tests: what a cut does is what those tests rest on."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.process import ServerProcess

PORT = 7777
CONNECT = (
    "python3",
    "-c",
    "import socket, sys; socket.create_connection((sys.argv[1], 7777), float(sys.argv[2]))",
)


def connects(here: Place, there: Place, seconds: float = 5) -> str:
    """Connect from one place to another; return how that fails."""
    command = here.command(*CONNECT, there.address, str(seconds))
    return subprocess.run(command, check=False, capture_output=True, text=True).stderr


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def server(network: Network, tmp_path: Path) -> Iterator[Place]:
    """A place that listens on `PORT`."""
    place = network.place("server")
    listener = f"import signal, socket; s = socket.create_server(('', {PORT})); signal.pause()"
    process = ServerProcess(place.command("python3", "-c", listener), tmp_path / "log")
    while "refused" in connects(place, place):
        assert process.running
    yield place
    process.kill()


def test_a_cut_is_silent_and_heals(network: Network, server: Place) -> None:
    client, other = network.place("client"), network.place("other")
    network.cut(client, server)
    assert "TimeoutError: timed out" in connects(client, server, 0.5)
    assert not connects(other, server)
    socket.create_connection((server.address, PORT), 5).close()  # the tests' own way in is no part of it
    network.heal()
    assert not connects(client, server)


def test_two_networks_at_once() -> None:
    with Network() as one, Network() as two:
        assert one.place("a").address != two.place("a").address
    assert not [path for path in Path("/run/netns").iterdir() if path.name.startswith((one.name, two.name))]
