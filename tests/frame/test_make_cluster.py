"""`make cluster` as a person uses it: start, paste the lines from top to bottom, stop, start again."""

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.frame.test_make_run import ROOT, paste
from tests.rigs.process import find_program

STARTS = 60.0  # seconds
COMMANDS = ("curl ", "dig ", "kill ", str(ROOT))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings that keep away from everything else on this machine."""
    find_program("etcd", "etcd-server")
    find_program("named", "bind9")
    return {**os.environ, "CLUSTER_PORT": str(free_block()), "CLUSTER_DATA": str(tmp_path / "my data")}


def free_block() -> int:
    """Return the first of 60 ports that are free, outside of those that rigs and clients use."""
    while True:
        first = random.randrange(10_000, 19_000, 60)
        if all(is_free(port) for port in range(first, first + 60)):
            return first


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Running:
    """A running `make cluster`; `lines` are those to paste, `leader` the node that leads."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout
        self.lines, self.leader = [], ""
        for line in process.stdout:
            if line.startswith(COMMANDS):
                self.lines.append(line.strip())
            if " leads. " in line:
                self.leader = line.split()[0]
            if line.startswith("Ctrl-C"):
                break
        else:
            pytest.fail(process.communicate()[1])

    def report(self) -> str:
        """Wait for the next thing that it says."""
        assert self.process.stdout
        return next(line for line in self.process.stdout if line.strip())


def start(environ: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "script" / "cluster.py"), str(ROOT)]
    return subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        start_new_session=True,
    )


@contextmanager
def running(environ: dict[str, str], stop: signal.Signals) -> Iterator[Running]:
    """Run it; expect a clean end, of which nothing is left."""
    process = start(environ)
    try:
        yield Running(process)
    finally:
        process.send_signal(stop)
        _, log = process.communicate(timeout=STARTS)
    assert process.returncode == 0, log
    assert left_of(environ) == []


def left_of(environ: dict[str, str], part: str = "") -> list[int]:
    """Return the ids of the processes that run in the folder of the cluster, or of one of its parts."""
    folder = str(Path(environ["CLUSTER_DATA"], part))
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if folder in command(entry)]


def command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return ""


def test_the_printed_lines_show_what_is_said_of_them(environ: dict[str, str]) -> None:
    with running(environ, signal.SIGINT) as cluster:
        change, dig, same, status, kill, next_change, _, kill_member, last_change, _, again = cluster.lines
        assert '"updated":true' in paste(change)
        assert paste(dig) == "192.0.2.7\n"
        assert "未变化" in paste(same)
        assert yaml.safe_load(paste(status))["leader"]["name"] == cluster.leader
        paste(kill)
        assert '"updated":true' in paste(next_change)
        assert paste(dig) == "192.0.2.8\n"
        assert "SIGKILL; node" in cluster.report()
        paste(kill_member)
        assert '"updated":true' in paste(last_change)
        assert paste(dig) == "192.0.2.9\n"
        assert "etcd1" in cluster.report()
        paste(again)
        assert cluster.report() == "All parts run.\n"
        paste(kill.replace(kill.split()[-1], str(left_of(environ, "node1")[0])))
    with running(environ, signal.SIGTERM) as cluster:
        assert paste(dig) == "192.0.2.9\n"
        assert "未变化" in paste(last_change)
        os.kill(left_of(environ, "etcd2")[0], signal.SIGSTOP)


def test_a_taken_port_is_told_and_nothing_is_left(environ: dict[str, str]) -> None:
    taken = int(environ["CLUSTER_PORT"]) + 10
    with socket.create_server(("127.0.0.1", taken)):
        process = start(environ)
        _, log = process.communicate(timeout=STARTS)
    assert process.returncode == 1
    assert f"node1 needs port {taken}" in log
    assert left_of(environ) == []


def test_a_missing_program_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    process = start({**environ, "PATH": str(tmp_path)})
    _, log = process.communicate(timeout=STARTS)
    assert process.returncode == 1
    assert "etcd missing: sudo apt-get install --no-install-recommends etcd-server" in log
    assert not Path(environ["CLUSTER_DATA"]).exists()


def test_other_ports_than_before_are_refused(environ: dict[str, str]) -> None:
    Path(environ["CLUSTER_DATA"]).mkdir()
    Path(environ["CLUSTER_DATA"], "port").write_text("9000\n")
    process = start(environ)
    _, log = process.communicate(timeout=STARTS)
    assert process.returncode == 1
    assert "was made with 9000" in log
