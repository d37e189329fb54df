"""A node of several processes: the parent forks the workers, and the workers ask each other.

The parent forks a worker again that fell, and ends when all have ended. It has no event loop, no thread and
no connection: the processes that it forks may have them. It handles no signal either: those that it waits for
are blocked, and stay so in a worker until that is ready for them.

Workers ask each other for metrics and refused attempts, whether one is ready, and that it retires, each on a
Unix socket of its own. A question is one line with one word; its answer is a text with its size before it.
One connection is for one question.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec
import structlog

from ddnsd.service.limits import RefusedAttempt, RefusedAttempts
from ddnsd.telemetry.metrics import Metrics, merged


class Worker(NamedTuple):
    """What tells a worker from its siblings, and ties it to their parent.

    `siblings` are the numbers of the others. `folder` holds what they share, such as a Unix socket for each.
    `lifeline` is a file descriptor to read from: it ends when all are to leave, also because `parent`, a
    process id, was killed.
    """

    number: int
    siblings: tuple[int, ...]
    folder: Path
    lifeline: int
    parent: int

    def socket_path(self, number: int) -> Path:
        """Return the Unix socket of a worker."""
        return self.folder / str(number)

    @property
    def retired_path(self) -> Path:
        """The file that is there once all workers have been told to retire."""
        return self.folder / "retired"


_log = structlog.get_logger(__name__)

CANNOT_START = 1
"""Exit status of a worker whose machine or configuration is at fault, not the program."""

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
"""Signals on which a worker leaves."""

BLOCKED = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGHUP}
"""Signals that the parent waits for, and a worker is started with blocked."""

_STEADY_SECONDS = 10.0  # a worker that ran for as long starts again at once
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds


class _Start(NamedTuple):
    """The start of a worker that runs, or waits to. Times are of the monotonic clock, in seconds."""

    number: int
    at: float  # when it started, or is to
    pause: float  # before it
    is_first: bool


class PreforkSupervisor:
    """Keeps `count` workers running until SIGTERM or SIGINT."""

    def __init__(self, count: int, work: Callable[[Worker], int], leave: Callable[[], None]) -> None:
        """`work` is what a worker does, and returns its exit status; `leave` is called before they leave."""
        self._count = count
        self._work = work
        self._leave = leave
        self._running: dict[int, _Start] = {}  # by process id
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
        return max(0.0, min((start.at for start in self._waiting), default=now + 3600) - now)

    def _start_due(self, folder: Path) -> None:
        now = time.monotonic()
        for start in [start for start in self._waiting if start.at <= now]:
            self._waiting.remove(start)
            pid = self._fork(start.number, folder)
            self._running[pid] = start._replace(at=now)
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
        start = self._running.pop(pid, None)
        if start is None:  # not a worker: the parent may be a container's first process
            return
        if self._line_end < 0 or (start.is_first and status == CANNOT_START):
            self._status = self._status or status
            self._stop()
            return
        lived = time.monotonic() - start.at
        pause = 0.0 if lived >= _STEADY_SECONDS else min(max(2 * start.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        log = _log.error if status else _log.info
        log("worker.ended", worker=start.number, pid=pid, status=status, starts_again_after=pause)
        self._waiting.append(_Start(start.number, time.monotonic() + pause, pause, is_first=False))


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


_PATIENCE_SECONDS = 0.5
_SIZE_OCTETS = 4  # before a text: half of one is none
_METRICS, _READY, _REFUSED, _RETIRE = b"metrics\n", b"ready\n", b"refused\n", b"retire\n"
_YES, _NO = b"yes", b"no"

_decode = msgspec.json.Decoder(tuple[RefusedAttempt, ...]).decode


class WorkerChannel:
    """A worker's way to its siblings. It answers them from `listen` on, and retires only once it serves."""

    def __init__(self, worker: Worker, metrics: Metrics) -> None:
        self._worker = worker
        self._metrics = metrics
        self._is_ready: Callable[[], bool] = lambda: False
        self._refused = RefusedAttempts()
        self._retire: Callable[[], None] = lambda: None

    async def listen(self, is_ready: Callable[[], bool]) -> asyncio.Server:
        """Do what siblings ask, until the server is closed.

        `is_ready` says whether this worker should get requests.

        Raises:
            OSError: the socket cannot be made.
        """
        self._is_ready = is_ready
        return await asyncio.start_unix_server(self._answer, self._worker.socket_path(self._worker.number))

    def serve(self, refused: RefusedAttempts, retire: Callable[[], None]) -> None:
        """Show what this worker refuses; retire when asked to, at once if that was asked before.

        `retire` makes this worker retire; it may be called more than once.
        """
        self._refused, self._retire = refused, retire
        if self._worker.retired_path.exists():  # it is made before anybody is asked: no question is missed
            retire()

    async def exposition(self) -> bytes:
        """Return the metrics of all workers; one that does not answer in time is left out and counted."""
        texts = await self._ask_all(_METRICS)
        for _ in filter(lambda text: text is None, texts.values()):
            self._metrics.worker_unanswered()
        everybodys = {**texts, self._worker.number: self._metrics.text()}
        return merged({number: text for number, text in sorted(everybodys.items()) if text is not None})

    async def is_any_ready(self) -> bool:
        """Say whether a sibling should get requests, of those that answer in time."""
        return _YES in (await self._ask_all(_READY)).values()

    async def refused(self) -> Sequence[RefusedAttempt]:
        """Return what all workers have refused lately, without one that does not answer in time."""
        texts = await self._ask_all(_REFUSED)
        others = [attempt for text in texts.values() if text is not None for attempt in _decode(text)]
        return (*self._refused.all(), *others)

    async def retire(self) -> None:
        """Make all siblings retire, those too that will be started in the place of one that falls.

        One that does not answer in time does so once it goes on: the question waits in its socket.
        """
        self._worker.retired_path.touch()
        await self._ask_all(_RETIRE)

    async def _ask_all(self, question: bytes) -> Mapping[int, bytes | None]:
        """Return the answer of each sibling by its number, None of one that gives none in time."""
        siblings = self._worker.siblings
        answers = await asyncio.gather(*(self._ask(number, question) for number in siblings))
        return dict(zip(siblings, answers, strict=True))

    async def _ask(self, number: int, question: bytes) -> bytes | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._worker.socket_path(number))
                try:
                    writer.write(question)
                    size = int.from_bytes(await reader.readexactly(_SIZE_OCTETS), "big")
                    return await reader.readexactly(size)
                finally:
                    writer.close()
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            text = self._do(await reader.readline())
            writer.write(len(text).to_bytes(_SIZE_OCTETS, "big") + text)
        except ConnectionError:
            pass  # who asked has gone
        finally:
            writer.close()  # when all is written

    def _do(self, question: bytes) -> bytes:
        """Return the answer; a question that was cut off, by the end of who asked, is none."""
        if question == _METRICS:
            return self._metrics.text()
        if question == _READY:
            return _YES if self._is_ready() else _NO
        if question == _REFUSED:
            return msgspec.json.encode(self._refused.all())
        if question == _RETIRE:
            self._retire()
        return b""
