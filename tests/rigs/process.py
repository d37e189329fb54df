"""One server process that never outlives the tests."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.waiting import wait_until

_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_TERMINATION = 10.0  # seconds that a server gets for its own way out


def find_program(name: str, package: str) -> str:
    """Return the program's path; without it skip the test, or fail it where CI must have everything."""
    path = shutil.which(name, path=_SEARCH)
    if path is not None:
        return path
    remedy = f"{name} is not installed: sudo apt-get install --no-install-recommends {package}"
    if os.environ.get("CI") == "true":
        pytest.fail(remedy)
    pytest.skip(remedy)


class ServerProcess:
    """A program in its own process group; the kernel kills it with the thread that started it."""

    def __init__(self, command: Sequence[str], output: Path) -> None:
        with output.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The server's own process id, and its group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Say whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def code(self) -> int | None:
        """How it ended, as subprocess says it; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it still runs."""
        if self.running:
            os.killpg(self.pid, number)

    def stop(self) -> None:
        """SIGSTOP the whole group and wait until none of the server's threads runs any more."""
        self.signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        wait_until(lambda: all(_state(task) == "T" for task in tasks.iterdir()))

    def wait_until(self, is_ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until it is ready.

        Raises:
            AssertionError: it has ended, or is not ready in time; it is killed then.
        """

        def is_ready_or_over() -> bool:
            return not self.running or is_ready()

        try:
            wait_until(is_ready_or_over, seconds, what)
            assert self.running, f"has ended before this: {what}"
        except BaseException:
            self.kill()
            raise

    def terminate(self) -> None:
        """End it as an administrator would, even if it is stopped; by force when that takes too long."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(_TERMINATION)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the whole group and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()


def _state(task: Path) -> str:
    """Return the state letter of a thread: T for stopped (proc(5), after the name in parentheses)."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]
