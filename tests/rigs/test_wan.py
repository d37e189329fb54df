"""The regions' network: its delays and cuts are what those tests rest on."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.place import Place
from tests.rigs.process import ServerProcess
from tests.rigs.wan import Wan
from tests.waiting import PATIENCE

PORT = 7777
CONNECT = (
    "python3",
    "-c",
    "import socket, sys, time; begin = time.monotonic();"
    f"socket.create_connection((sys.argv[1], {PORT}), float(sys.argv[2]));"
    "print(time.monotonic() - begin)",
)


def connect(here: Place, there: Place, seconds: float = 5) -> float:
    """Connect from one place to another; return how long that takes.

    Raises:
        TimeoutError: it takes longer than `seconds`.
    """
    command = here.command(*CONNECT, there.address, str(seconds))
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "timed out" in done.stderr:
        raise TimeoutError
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.fixture
def wan() -> Iterator[Wan]:
    with Wan({("a", "b"): 0.04, ("a", "c"): 0.08, ("b", "c"): 0.08}) as wan:
        yield wan


@pytest.fixture
def server(wan: Wan, tmp_path: Path) -> Iterator[Place]:
    """A place in region a that listens on `PORT`."""
    place = wan.place("a")
    listener = (
        f"import signal, socket; s = socket.create_server(('', {PORT})); print(flush=True); signal.pause()"
    )
    process = ServerProcess(place.command("python3", "-c", listener), log := tmp_path / "log")
    process.wait_until(lambda: log.stat().st_size > 0, PATIENCE, "it listens")
    yield place
    process.kill()


def test_each_link_has_its_delay(wan: Wan, server: Place) -> None:
    assert 0.04 <= min(connect(wan.place("b"), server) for _ in range(3)) < 0.07
    assert 0.08 <= min(connect(wan.place("c"), server) for _ in range(3)) < 0.12
    assert min(connect(wan.place("a"), server) for _ in range(3)) < 0.03


def test_a_cut_is_silent_and_heals(wan: Wan, server: Place) -> None:
    near, far = wan.place("b"), wan.place("c")
    wan.cut(("a", "b"))
    with pytest.raises(TimeoutError):
        connect(near, server, 0.5)
    connect(far, server)
    connect(wan.place("a"), server)
    socket.create_connection((server.address, PORT), 5).close()  # the tests' own way in is no part of it
    wan.isolate("a")
    with pytest.raises(TimeoutError):
        connect(far, server, 0.5)
    wan.heal()
    connect(near, server)
    connect(far, server)


def test_nothing_is_left_behind() -> None:
    with Wan({("a", "b"): 0.01}) as wan:
        place = wan.place("a")
        assert Path("/run/netns", place.namespace).exists()
    assert not Path("/run/netns", place.namespace).exists()
