"""What a watch has shown since a group of updates was sent: whether one of them is among it.

A trace answers for a group whose answer was lost. It is begun before the group is sent, since the
group's writes may go by before the loss is known, and costs one look at each revision's keys meanwhile.

The watch cache: everything in memory, fed by one watch, made current before it is trusted.

It trusts revisions only. To answer linearizably it asks the store one question for all who wait at
that moment (which revision is the newest?) and lets them go on once the watch has applied that
revision whole. See docs/architecture.md, "Reads".
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from logging import ERROR, WARNING
from typing import NamedTuple

import structlog

from ddnsd.aio import Slice, run_until, wait_for
from ddnsd.model.records import Entry
from ddnsd.model.state import State
from ddnsd.store import tables
from ddnsd.store.interface import (
    Changes,
    CompactedError,
    ConditionalWrite,
    KeyValue,
    RestoredError,
    Revision,
    SnapshotAt,
    Store,
    StoreError,
    UnavailableError,
    Watch,
)
from ddnsd.store.standstill import PATIENCE, Patience, Stage, Standstill
from ddnsd.store.tables import Preserved
from ddnsd.telemetry.metrics import Metrics


class Trace:
    """The revisions that wrote some of these keys since it began; to be closed.

    It is `broken` once the watch may have left out a revision: then it proves nothing.
    """

    def __init__(self, keys: Collection[str], revision: int, close: Callable[["Trace"], None]) -> None:
        """`revision` is the newest that went by before; `close` is called when nobody needs the trace."""
        self.broken = False
        self._keys = frozenset(keys)
        self._revision = revision
        self._close = close
        self._hits: list[Revision] = []
        self._moved: asyncio.Event | None = None  # only while somebody waits

    def note(self, revision: int, changes: Changes) -> None:
        """Look at one whole revision."""
        self._revision = revision
        if not self._keys.isdisjoint(changes):
            self._hits.append(Revision(revision, changes))
        if self._moved is not None:
            self._moved.set()

    def end(self) -> None:
        """Note that the revisions that follow are not those after the last one, or of another history."""
        self.broken = True
        if self._moved is not None:
            self._moved.set()

    async def passed(self, revision: int) -> bool:
        """Wait until a revision has gone by; return False if that can no longer be seen."""
        self._moved = asyncio.Event()
        while not self.broken and self._revision < revision:
            self._moved.clear()
            await self._moved.wait()
        return not self.broken

    def revision_of(self, update: ConditionalWrite, after: int) -> int | None:
        """Return the revision that did an update, above `after`; None where there was none.

        An update is known by its bytes: all its puts in one revision, and the deletions of the keys that
        it expects to be there. Where another process has done the very same, the two cannot be told apart,
        and need not be: the store holds what the update asked for.
        """
        found = (hit.revision for hit in self._hits if hit.revision > after and _did(hit.changes, update))
        return next(found, None)

    def close(self) -> None:
        """Stop looking; to be called once."""
        self._close(self)


def _did(changes: Changes, update: ConditionalWrite) -> bool:
    for key, value in update.puts.items():
        item = changes.get(key)
        if item is None or item.value != value:
            return False
    gone = {key for key in update.deletes if key in changes and changes[key] is None}
    known_there = {key for key in update.deletes if update.expects.get(key)}
    return known_there <= gone and bool(update.puts or gone)


_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.2
_LOOK_SECONDS = 2.0  # between two questions, so that a state that stands still is noticed
_OVERTAKEN_SECONDS = 1.0  # a question that takes longer keeps the next one waiting no more
_REMEDIES = {
    Stage.WATCH: "none is needed: the watch is opened again, and another node leads",
    Stage.SESSION: "none is needed: all is opened again, and /readyz is 503 until the state is current",
    Stage.END: "none is needed where the process is started again; please report the stacks that follow",
}


class Touched(NamedTuple):
    """An entry that was written or deleted: the shelf's prefix, and its id in the table."""

    shelf: str
    id: object


Listener = Callable[[Sequence[Touched]], None]
Callback = Callable[[StoreError | None], None]


@dataclass(slots=True, eq=False)
class _Round:
    """One question to the store, and who shares it."""

    identity: str  # of the history that the question is about
    waiting: list[Callback]
    asked: float = field(default_factory=time.perf_counter)
    revision: int = 0  # the answer: what the watch must have applied


class WatchCache:
    """The state of the installation as this node knows it. Run `run()` as a task of its own."""

    def __init__(self, store: Store, timeout: float, metrics: Metrics, patience: Patience = PATIENCE) -> None:
        """`timeout` bounds, in seconds, a question and what follows it; an arrival waits a second more.

        `patience` is had with a state that stands still though the store answers.
        """
        self.state = State()
        self.preserved = Preserved()
        self.revision = 0  # the newest that is applied whole
        self.identity = ""  # of the history that the state is of; "" until it is of any, or if that is over
        self.trouble = ""  # why the state could not be made current when last asked for; "" if it could
        self.lag = 0.0  # seconds that it took when it last could
        self._loop = asyncio.get_running_loop()  # kept: asking for it costs a call of the kernel each time
        self._store = store
        self._timeout = timeout
        self._metrics = metrics
        self._known: dict[str, int] = {}  # by key, the revision of its value
        self.broken = ""  # why the watch ended last; "" once it has shown something since
        self.keys_read = 0  # of the snapshot that is read now, or was read last
        self._loaded = asyncio.Event()
        self._standstill = Standstill(patience)
        self._newest = 0  # revision that the store has answered last
        self._watching_again = asyncio.Event()  # set when the watch of now is to be replaced
        self._hopeless = asyncio.Event()
        self._listeners: list[tuple[Listener, frozenset[str] | None]] = []
        self._is_outdated = False  # as the listeners know it
        self._traces: list[Trace] = []
        self._arrived: list[Callback] = []  # waits for the next question
        self._ask_until = 0.0  # by the loop's clock: when that has to be asked
        self._asking: asyncio.Task[None] | None = None  # whoever asks the next question
        self._overtaken: set[asyncio.Task[None]] = set()  # those whose question takes long
        self._behind: deque[tuple[_Round, asyncio.TimerHandle]] = deque()  # waits for the watch

    def reconfigure(self, timeout: float) -> None:
        """Bound questions by another time, in seconds, from now on."""
        self._timeout = timeout

    @property
    def timeout(self) -> float:
        """How long, in seconds, a question and what follows it may take."""
        return self._timeout

    @property
    def is_loaded(self) -> bool:
        """Say whether a snapshot has been loaded once."""
        return self._loaded.is_set()

    async def loaded(self) -> None:
        """Wait until a snapshot has been loaded once."""
        await self._loaded.wait()

    @property
    def standstill(self) -> Stage:
        """What the state asks for since it stands still; `NONE` once it was current again."""
        return self._standstill.worst

    @property
    def standstill_text(self) -> str:
        """Say how far the state is behind, and for how long it has stood still."""
        return (
            f"the state stands still at revision {self.revision} though the store answers {self._newest}"
            f" (for {self._standstill.seconds:.0f} s)"
        )

    async def follows(self) -> None:
        """Wait until the state is loaded and, if it has stood still, current again."""
        await self._loaded.wait()
        await self._until(lambda: self.standstill is Stage.NONE)

    async def stands_still(self) -> None:
        """Wait until the state stands still: nobody should act on it."""
        await self._until(lambda: self.standstill is not Stage.NONE)

    async def _until(self, condition: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        unsubscribe = self.subscribe(lambda _: changed.set(), ())
        try:
            while not condition():
                changed.clear()
                await changed.wait()
        finally:
            unsubscribe()

    async def supervise(self, period: float = _LOOK_SECONDS) -> None:
        """Ask for the newest revision every `period` seconds; return when the state stands still for good.

        What a standstill asks for is done meanwhile: see `Stage`.
        """
        await self.loaded()
        while not self._hopeless.is_set():
            self.when_current(lambda _: None)
            await wait_for(self._hopeless, period)

    def subscribe(self, listener: Listener, shelves: Collection[str] | None = None) -> Callable[[], None]:
        """Call the listener after each applied revision, with what it touched; return what ends that.

        With `shelves`, by their prefixes, only revisions that touched one of these count. Each listener is
        also called, with nothing touched, when the history of the state has ended (`identity`), when
        `standstill` has become another, and when `preserved` has an obstacle or no longer has one.
        """
        subscribed = (listener, None if shelves is None else frozenset(shelves))
        self._listeners.append(subscribed)
        return lambda: self._listeners.remove(subscribed)

    def trace(self, keys: Collection[str]) -> Trace:
        """Note from now on what is written to these keys, until the trace is closed."""
        trace = Trace(keys, self.revision, self._traces.remove)
        self._traces.append(trace)
        if not self._loaded.is_set() or not self.identity or self.identity != self._store.identity:
            trace.end()
        return trace

    async def run(self) -> None:
        """Load a snapshot, follow it, and load anew whenever its history is gone. Never returns."""
        while True:
            try:
                await self._follow()
            except CompactedError:
                _log.warning("watch.compacted", revision=self.revision)
            except RestoredError as error:
                self._abandon(error)
                await asyncio.sleep(_RETRY_SECONDS)
            except UnavailableError as error:
                self._note_broken(str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def current(self) -> None:
        """Return once the state is at least as new as the store was when this was called.

        Raises:
            UnavailableError: that could not be known within the timeout, or this node is outdated.
        """
        done: asyncio.Future[None] = self._loop.create_future()

        def settle(error: StoreError | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        self.when_current(settle)
        await done

    def when_current(self, callback: Callback) -> None:
        """Like `current`, for the hot path: no task and no coroutine for each caller.

        Whoever arrives before a question is sent shares it; a question already on its way may have
        been answered before the caller came, so it is not shared.
        """
        if self._arrived and self._loop.time() > self._ask_until:
            self._drop_overdue()
        if not self._arrived:
            self._ask_until = self._loop.time() + self._timeout
        self._arrived.append(callback)
        if self._asking is None:
            self._asking = self._loop.create_task(self._ask(), name="watch cache asks")

    def _drop_overdue(self) -> None:
        """Refuse those who have arrived and were not asked for in time: as a rule this process was stopped.

        They would wait for a question that is asked now, long after their own time, if the store is slow.
        """
        late, self._arrived = self._arrived, []
        self._refuse(late, UnavailableError(f"this process did nothing for {self._timeout:g} s"))

    def _note_broken(self, reason: str) -> None:
        if reason != self.broken:  # else it is one of many tries
            _log.warning("watch.unavailable", reason=reason)
        self.broken, self.keys_read = reason, 0

    def _note_read(self, keys: int) -> None:
        self.keys_read = keys
        if keys:
            self._standstill.moved()

    async def _follow(self) -> None:
        """Load a snapshot and follow the watch until it ends.

        Raises:
            StoreError: why it did.
        """
        identity = self._store.identity
        self._note_read(0)
        snapshot = await self._store.snapshot(progress=self._note_read)
        self._note_read(len(snapshot.items))
        if self.is_loaded and self.identity != identity:
            self._abandon(RestoredError("the store was restored"))
            self._known = dict.fromkeys(self._known, 0)  # in another history a revision is another value's
        self.identity = self.state.identity = identity
        if self.is_loaded:
            self._load(snapshot)
        else:
            await self._load_first(snapshot)
        while True:
            await self._watch(identity)

    async def _watch(self, identity: str) -> None:
        """Follow a watch, from the last whole revision on, until it ends or another one is to replace it.

        Raises:
            StoreError: why it ended.
        """
        self._watching_again.clear()
        async with aclosing(self._store.watch("", self.revision + 1)) as watch:
            if self._store.identity != identity:
                raise RestoredError("the store was restored again")
            await run_until(self._watching_again.wait(), self._read(watch))

    async def _read(self, watch: Watch) -> None:
        async for revision in watch:
            self.broken = ""
            self._apply(revision.revision, revision.changes)

    async def _ask(self) -> None:
        """Ask for all who have arrived, again and again, until nobody has or another task does so."""
        me = self._asking
        assert me is not None
        try:
            while self._asking is me and self._arrived:
                if self._loop.time() > self._ask_until:
                    self._drop_overdue()
                    continue
                round = _Round(self._store.identity, self._arrived)
                self._arrived = []
                slow = self._loop.call_later(_OVERTAKEN_SECONDS, self._overtake, me)
                try:
                    async with asyncio.timeout(self._timeout):
                        round.revision = await self._store.revision()
                except TimeoutError:
                    self._standstill.unanswered()
                    late = f"the store did not answer in {self._timeout:g} s"
                    self._refuse(round.waiting, UnavailableError(late))
                except StoreError as error:
                    self._standstill.unanswered()
                    self._refuse(round.waiting, error)
                else:
                    if self._has(round):
                        self._admit(round)
                    else:
                        self._wait_for_watch(round)
                finally:
                    slow.cancel()
        finally:
            if self._asking is me:
                self._asking = None

    def _overtake(self, slow: asyncio.Task[None]) -> None:
        """Let others ask for those who have arrived since a question that takes long."""
        self._asking = None
        self._overtaken.add(slow)
        slow.add_done_callback(self._overtaken.discard)
        if self._arrived:
            self._asking = asyncio.create_task(self._ask(), name="watch cache asks")

    def _wait_for_watch(self, round: _Round) -> None:
        self._note_behind(round.revision)
        left = self._timeout - (time.perf_counter() - round.asked)
        timer = self._loop.call_later(left, self._give_up, round)
        self._behind.append((round, timer))

    def _note_behind(self, newest: int) -> None:
        """Do what a state that stands still asks for; the store has answered the `newest` revision."""
        self._newest = newest
        stage = self._standstill.behind(self._loop.time())
        if stage is Stage.NONE:
            return
        level = WARNING if stage is Stage.WATCH else ERROR
        _log.log(level, "state.stands_still", reason=self.standstill_text, remedy=_REMEDIES[stage])
        self._tell(())
        if stage is Stage.WATCH:
            self._watching_again.set()
        elif stage is Stage.SESSION:
            self._store.renew(self.standstill_text)
        else:
            self._hopeless.set()

    def _has(self, round: _Round) -> bool:
        return self.identity == round.identity and self.revision >= round.revision

    def _abandon(self, error: RestoredError) -> None:
        """Fail all who wait for the watch, as the history of the state has ended, and tell the listeners."""
        self.identity = ""
        self._end_traces()
        lost, self._behind = self._behind, deque()
        for round, timer in lost:
            timer.cancel()
            _release(round.waiting, error)
        self._tell(())

    def _end_traces(self) -> None:
        for trace in self._traces:
            trace.end()

    def _tell(self, touched: Sequence[Touched]) -> None:
        shelves = {place.shelf for place in touched}
        for listener, wanted in tuple(self._listeners):
            if not touched or wanted is None or not wanted.isdisjoint(shelves):
                listener(touched)

    def _admit(self, round: _Round) -> None:
        self.lag = time.perf_counter() - round.asked
        stood_still = self._standstill.worst is not Stage.NONE
        if self._standstill.counting or stood_still:  # else there is nothing to end, as nearly always
            self._standstill.caught_up()
        if self.trouble or stood_still:
            self.trouble = ""
            _log.info("state.current_again", revision=self.revision)
        if stood_still:
            self._tell(())
        self._metrics.became_current(self.lag)
        obstacle = self.preserved.obstacle
        for callback in round.waiting:
            callback(UnavailableError(obstacle) if obstacle else None)

    def _refuse(self, waiting: Sequence[Callback], error: StoreError) -> None:
        if not self.trouble:  # once, not for each request of an outage
            _log.warning("state.not_current", reason=str(error))
        self.trouble = str(error)
        _release(waiting, error)

    def _give_up(self, round: _Round) -> None:
        if self._behind[0][0] is round:
            self._behind.popleft()
        else:
            self._behind = deque(behind for behind in self._behind if behind[0] is not round)
        late = f"the watch stands at revision {self.revision} and is {self._timeout:g} s late"
        self._refuse(round.waiting, UnavailableError(late))

    def _apply(self, revision: int, changes: Changes, before: Sequence[Touched] = ()) -> None:
        """Put a revision whole into the tables; what was touched `before` belongs to it."""
        touched = [*before]
        for key, item in changes.items():
            if place := self._place(key, item):
                touched.append(place)
        self.revision = revision
        for trace in self._traces:
            trace.note(revision, changes)
        if self._standstill.counting:
            self._standstill.moved()
        self._metrics.applied(revision)
        self._tell(touched)
        if self._is_outdated is not bool(self.preserved.obstacle):
            self._is_outdated = not self._is_outdated
            self._tell(())
        while self._behind and self._has(self._behind[0][0]):
            round, timer = self._behind.popleft()
            timer.cancel()  # else it would keep the requests of this round until its end
            self._admit(round)

    def _place(self, key: str, item: KeyValue | None) -> Touched | None:
        """Put one key's item into its table, or take it out of it; return what that touched.

        What cannot be read leaves there what was read before.
        """
        prefix, _, rest = key.partition("/")
        shelf = tables.SHELVES.get(prefix)
        if shelf is None:
            return None
        try:
            id = shelf.read_id(rest)
            value = self.preserved.read(key, shelf, item.value) if item else None
        except tables.NewerVersionError:
            self._known[key] = item.revision if item else 0  # to notice when it goes
            return None
        except ValueError as error:
            _log.error("store.unreadable", key=key, reason=str(error))
            return None
        if item is None:
            self._known.pop(key, None)
            self.preserved.forget(key)
            shelf.table(self.state).drop(id)
        else:
            self._known[key] = item.revision
            shelf.table(self.state).put(id, Entry(key, item.revision, item.created, value))
        return Touched(prefix, id)

    async def _load_first(self, snapshot: SnapshotAt) -> None:
        """Make the state that of a snapshot, giving way to others: nobody may read it before it is whole.

        In one piece a hundred thousand hosts hold the loop for longer than the process's own lease lasts.
        """
        touched: list[Touched] = []
        async for key, item in Slice(share=1.0).each(snapshot.items.items()):
            if place := self._place(key, item):
                touched.append(place)
        self._loaded.set()
        self._apply(snapshot.revision, {}, touched)

    def _load(self, snapshot: SnapshotAt) -> None:
        """Make the state that of a snapshot, noticing what was deleted meanwhile.

        What is as it was is not read again: a hundred thousand hosts would hold the loop for seconds, in
        which a leader's lease ends.
        """
        changes: dict[str, KeyValue | None] = dict.fromkeys(self._known.keys() - snapshot.items.keys())
        items = snapshot.items.items()
        changes |= {key: item for key, item in items if self._known.get(key) != item.revision}
        self._loaded.set()
        self._end_traces()  # what was written and deleted, or written over, meanwhile has not been seen
        self._apply(snapshot.revision, changes)


def _release(waiting: Sequence[Callback], error: StoreError) -> None:
    for callback in waiting:
        callback(error)
