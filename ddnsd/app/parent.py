"""The parent of the workers: forks them, forks anew what fell, ends when all have ended.

It has no event loop, no thread and no connection: what it forks may have them. It handles no signal
either: those that it waits for are blocked, and so are they in a worker, until that is ready for them.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import structlog

from ddnsd.app.worker import Worker

_log = structlog.get_logger(__name__)

CANNOT_START = 1
"""Exit status of a worker whose machine or configuration is at fault, not the program."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals on which a worker leaves."""

BLOCKED = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGHUP}
"""Signals that the parent waits for, and a worker is started with blocked."""

_STEADY_SECONDS = 10.0  # a worker that ran for as long starts again at once
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds


class _Run(NamedTuple):
    """A worker that runs: since when, and how long it was waited before."""

    number: int
    started: float
    pause: float
    is_first: bool


class _Start(NamedTuple):
    """A worker that is to start."""

    number: int
    due: float
    pause: float
    is_first: bool


class Parent:
    """Keeps `count` workers running until SIGTERM or SIGINT."""

    def __init__(self, count: int, work: Callable[[Worker], int], leave: Callable[[], None]) -> None:
        """`work` is what a worker does, and returns its exit status; `leave` is called before they leave."""
        self._count = count
        self._work = work
        self._leave = leave
        self._running: dict[int, _Run] = {}  # by process id
        self._waiting = [_Start(number, 0.0, 0.0, is_first=True) for number in range(count)]
        self._status = 0
        self._lifeline, self._line_end = os.pipe()  # its end is the sign to leave; nothing is ever written

    def keep(self) -> int:
        """Return when all workers have ended after a signal, or could not start: the exit status."""
        signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
        with tempfile.TemporaryDirectory(prefix="ddnsd-") as folder:
            while self._waiting or self._running:
                self._start_due(Path(folder))
                received = signal.sigtimedwait(BLOCKED, self._patience())
                if received and received.si_signo in STOP_SIGNALS:
                    self._stop()
                if received and received.si_signo == signal.SIGHUP:
                    self._pass_on(signal.SIGHUP)
                for pid, status in _ended():
                    self._note_end(pid, status)
        return self._status

    def _patience(self) -> float:
        """Return seconds until the next worker is to start; an hour where none is."""
        now = time.monotonic()
        return max(0.0, min((start.due for start in self._waiting), default=now + 3600) - now)

    def _start_due(self, folder: Path) -> None:
        now = time.monotonic()
        for start in [start for start in self._waiting if start.due <= now]:
            self._waiting.remove(start)
            pid = self._fork(start.number, folder)
            self._running[pid] = _Run(start.number, now, start.pause, start.is_first)
            _log.info("worker.started", worker=start.number, pid=pid)

    def _fork(self, number: int, folder: Path) -> int:
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._be_worker(number, folder)
        return pid

    def _be_worker(self, number: int, folder: Path) -> NoReturn:
        """Work, and end: what the parent has yet to do on its way out is not for this process."""
        status = os.EX_SOFTWARE
        try:
            os.close(self._line_end)
            siblings = tuple(other for other in range(self._count) if other != number)
            status = self._work(Worker(number, siblings, folder, self._lifeline, os.getppid()))
        except BaseException:  # noqa: BLE001 - nobody is left to tell
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)

    def _stop(self) -> None:
        if self._line_end < 0:
            return
        _log.info("workers.leave", running=len(self._running))
        self._waiting.clear()
        self._leave()
        os.close(self._line_end)
        self._line_end = -1

    def _pass_on(self, number: signal.Signals) -> None:
        for pid in self._running:  # none has been waited for, so no number is another process's by now
            os.kill(pid, number)

    def _note_end(self, pid: int, status: int) -> None:
        run = self._running.pop(pid, None)
        if run is None:  # not a worker: the parent may be a container's first process
            return
        if self._line_end < 0 or (run.is_first and status == CANNOT_START):
            self._status = self._status or status
            self._stop()
            return
        lived = time.monotonic() - run.started
        pause = 0.0 if lived >= _STEADY_SECONDS else min(max(2 * run.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        log = _log.error if status else _log.info
        log("worker.ended", worker=run.number, pid=pid, status=status, starts_again_after=pause)
        self._waiting.append(_Start(run.number, time.monotonic() + pause, pause, is_first=False))


def _ended() -> Iterator[tuple[int, int]]:
    """Yield each process that has ended, with its exit status; 128 and the signal's number if by one."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        yield pid, code if code >= 0 else 128 - code
