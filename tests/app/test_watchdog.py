"""The watchdog on a process of its own, with ticks that are short."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ddnsd.app.watchdog import STATUS, LastEnd
from ddnsd.model.records import SelfEnded
from tests.app.watched import TICK, TICKS
from tests.waiting import hold_up


class Watched:
    """The process, to talk with."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        command = [sys.executable, "-m", "tests.app.watched", str(folder)]
        pipe = subprocess.PIPE
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.say(line)
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> int:
        """Wait for its end; return its exit status."""
        return self.process.wait(30)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    running = Watched(folder)
    try:
        assert running.ask("turn") == "turned"
        yield running
    finally:
        running.process.kill()
        with running.process:
            pass  # closes its pipes, and waits


def stacks(log: list[dict[str, Any]]) -> dict[str, str]:
    return {line["of"]: line["stack"] for line in log if line["event"] == "process.stack"}


def test_a_loop_that_does_not_turn_ends_the_process_with_all_stacks_in_the_log(tmp_path: Path) -> None:
    with watched(tmp_path) as running:
        running.say("sleep")
        assert running.end() == STATUS == 70
        log = running.log()
    (end,) = [line for line in log if line["event"] == "process.ends"]
    assert "event loop has not turned" in end["reason"]
    found = stacks(log)
    assert "hold_up(60)" in found["thread MainThread"]
    assert "in wait_for_nobody" in found["task nobody"]
    assert "in wait" in found["task nobody"].splitlines()[-1]  # of the event: the innermost
    ended = LastEnd(tmp_path, None).read()
    assert ended is not None
    assert ended.reason == end["reason"]


def test_a_process_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Stopped when its loop was busy, for three times as long as that may be: no tick passes meanwhile."""
    with watched(tmp_path) as running:
        for _ in range(2):
            assert running.ask("hold") == "held"
            running.process.send_signal(signal.SIGSTOP)
            hold_up(3 * TICK * TICKS)
            running.process.send_signal(signal.SIGCONT)
            assert running.ask("turn") == "turned"
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.end() == 0
        assert running.log() == []


def test_what_was_given_up_ends_though_its_orderly_end_hangs(tmp_path: Path) -> None:
    with watched(tmp_path) as running:
        running.say("give up")
        assert running.end() == STATUS
        assert "in wait_for_nobody" in stacks(running.log())["task nobody"]
    ended = LastEnd(tmp_path, None).read()
    assert ended is not None
    assert ended.reason == "nothing helped"


@pytest.mark.parametrize("text", ["", "{", '{"at": 1}'])
def test_a_broken_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "ended.json").write_text(text)
    assert LastEnd(tmp_path, None).read() is None


def test_an_end_is_shown_for_a_day_to_the_worker_of_its_number(tmp_path: Path) -> None:
    LastEnd(tmp_path, 1).write("it hung")
    assert LastEnd(tmp_path, 0).read() is None
    ended = LastEnd(tmp_path, 1).read()
    assert ended is not None
    assert ended.reason == "it hung"
    old = SelfEnded(datetime.now(UTC) - timedelta(hours=25), "it hung")
    (tmp_path / "ended.1.json").write_bytes(msgspec.json.encode(old))
    assert LastEnd(tmp_path, 1).read() is None


def test_a_folder_that_cannot_be_written_hinders_no_end(tmp_path: Path) -> None:
    LastEnd(tmp_path / "missing", None).write("it hung")
    assert LastEnd(tmp_path / "missing", None).read() is None
