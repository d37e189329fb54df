"""Ends a process that cannot go on by itself, so that its supervisor starts it again.

Nothing here depends on the store: a store that is away is no reason to end (decision 0022). Any node also
notices what should have happened by now: signs that a process lives and does nothing.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

import msgspec
import structlog

from ddnsd import files
from ddnsd.model.records import Member, SelfEnded
from ddnsd.service.status import ZoneProgress
from ddnsd.store import keys
from ddnsd.store.watch_cache import Touched, WatchCache

_log = structlog.get_logger(__name__)

STATUS = os.EX_SOFTWARE  # 70
TICK_SECONDS = 1.0
TICKS = 30
_TELLING_SECONDS = 5.0  # for the log, which may be what the event loop waits for


_SHOWN = timedelta(days=1)


class StandsStillError(Exception):
    """The state stands still though the store answers, and nothing has helped."""


class LastEnd:
    """Why the process before this one ended itself: a file in the data folder, shown by the next one."""

    def __init__(self, data: Path, worker: int | None) -> None:
        """`worker` is the number of the worker whose end it is; None of the only process."""
        self._path = data / ("ended.json" if worker is None else f"ended.{worker}.json")

    def write(self, reason: str) -> None:
        """Keep the reason; where that is not possible, the log has it."""
        ended = msgspec.json.encode(SelfEnded(datetime.now(UTC), reason))
        try:
            files.write(self._path, [ended], durable=False)  # no time to wait for the disk
        except OSError as error:
            _log.warning("process.end_not_kept", reason=str(error))

    def read(self) -> SelfEnded | None:
        """Return how the process before this one ended itself, if it did so within a day."""
        try:
            ended = msgspec.json.decode(self._path.read_bytes(), type=SelfEnded)
        except (OSError, msgspec.DecodeError):  # as a rule there is none; a broken one is ignored
            return None
        return ended if datetime.now(UTC) - ended.at < _SHOWN else None


class Watchdog:
    """A thread that ends the process when the event loop has not turned for `ticks` of its own ticks.

    It counts ticks, and not time: while the process is stopped or the machine suspended, none passes, and
    the one after it finds a loop that turns.
    """

    def __init__(
        self, note: Callable[[str], None], *, tick: float = TICK_SECONDS, ticks: int = TICKS
    ) -> None:
        """To be made on the event loop. `note` keeps the reason for the process that comes next; `tick` is
        in seconds."""
        self._note = note
        self._tick = tick
        self._ticks = ticks
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self._turned = True  # since the last tick
        self._reason = ""  # why the process is ending in an orderly way
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no longer, unless the process was given up: its end may hang, too. Idempotent."""
        if not self._reason:
            self._stopped.set()

    def give_up(self, reason: str) -> None:
        """Log all stacks; end the process if, after `ticks` more, it has not ended in an orderly way."""
        self._reason = reason
        self._tell(reason)

    def _run(self) -> None:
        missed = 0
        while not self._stopped.wait(self._tick):
            missed = 0 if self._turned and not self._reason else missed + 1
            if missed >= self._ticks:
                self._end(self._reason or f"the event loop has not turned for {missed * self._tick:g} s")
            if self._turned and not self._reason:
                self._turned = False
                try:
                    self._loop.call_soon_threadsafe(self._note_turn)
                except RuntimeError:  # the loop is closed
                    return

    def _note_turn(self) -> None:
        self._turned = True

    def _end(self, reason: str) -> None:
        telling = threading.Thread(target=self._tell, args=(reason,), name="last words", daemon=True)
        telling.start()
        telling.join(_TELLING_SECONDS)
        os._exit(STATUS)

    def _tell(self, reason: str) -> None:
        self._note(reason)
        _log.critical("process.ends", reason=reason, status=STATUS)
        for (of, stack), count in Counter(_stacks(self._loop)).items():
            _log.critical("process.stack", count=count, of=of, stack=stack)


def _stacks(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[str, str]]:
    """Yield where each thread is, and where each task waits: its name, and its calls, the innermost last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # the documented way to see another thread's stack
        yield f"thread {names.get(ident, ident)}", "".join(traceback.format_stack(frame))
    for task in asyncio.all_tasks(loop):
        where = [_place(frame) for frame in _awaiting(task.get_coro())]
        yield f"task {task.get_name()}", "".join(where)


def _awaiting(inner: object) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of all that it awaits, the outermost first."""
    while True:
        if isinstance(inner, CoroutineType):
            frame, inner = inner.cr_frame, inner.cr_await
        elif isinstance(inner, GeneratorType):
            frame, inner = inner.gi_frame, inner.gi_yieldfrom
        elif isinstance(inner, AsyncGeneratorType):
            frame, inner = inner.ag_frame, inner.ag_await
        else:
            return
        if frame is not None:
            yield frame


def _place(frame: FrameType) -> str:
    return f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}\n'


_UNSEEN_SECONDS = 15.0  # a node registers at once, and looks after that every ten seconds
_IDLE = timedelta(seconds=30)


class LeaderWatch:
    """For how long the leader has had no entry among the members, by this node's monotonic clock.

    A leader that cannot make its state current leaves the members, and should not lead for long. One that
    has just begun may not be registered yet.
    """

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._now = asyncio.get_running_loop().time
        self._unseen: tuple[str, float] | None = None  # the leader's id, since when
        cache.subscribe(self._look, (keys.MEMBERS, keys.ELECTION))

    def warnings(self) -> Iterator[str]:
        """Yield what is wrong with the leader, if anything is."""
        if self._unseen is not None and (seconds := self._now() - self._unseen[1]) >= _UNSEEN_SECONDS:
            yield (
                f"the leader {self._unseen[0]} has not been among the nodes for {seconds:.0f} s, so it may "
                "not publish: see its log, and restart it if that lasts"
            )

    def _look(self, _: Sequence[Touched]) -> None:
        leader = self._cache.state.leader
        if leader is None or leader.value.member in self._cache.state.members:
            self._unseen = None
        elif self._unseen is None or self._unseen[0] != leader.value.member:
            self._unseen = (leader.value.member, self._now())


def queue_warnings(
    zones: Mapping[str, ZoneProgress], leader: str, hindered: Collection[str], now: datetime
) -> Iterator[str]:
    """Yield each zone whose records wait though nothing hinders their publication.

    `leader` is a name; `hindered` are the zones of which it is known why, such as a silent nameserver.
    """
    for zone, progress in sorted(zones.items()):
        moved = max(filter(None, (progress.waiting_since, progress.last_push)), default=now)
        if progress.pending and zone not in hindered and now - moved > _IDLE:
            seconds = (now - moved).total_seconds()
            yield (
                f"{progress.pending} records of {zone} wait, and none was published for {seconds:.0f} s "
                f"though the nameserver answers: see the log of the leader {leader}, and restart it if that "
                "lasts"
            )


def ended_warnings(members: Collection[Member]) -> Iterator[str]:
    """Yield each node whose process before this one ended itself."""
    for member in members:
        if member.ended is not None:
            yield (
                f"{member.name} ended itself at {member.ended.at:%Y-%m-%d %H:%M:%S} UTC and was started "
                f"again: {member.ended.reason}; its log of then has all stacks: please report them"
            )
