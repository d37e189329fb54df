"""Keeps the store on the history that etcd has now."""

import asyncio
from contextlib import suppress

import structlog

from ddnsd import etcd
from ddnsd.aio import first_of
from ddnsd.etcd import EtcdError
from ddnsd.etcd.values import RangeResult
from ddnsd.store.etcd.failures import Access, Failures
from ddnsd.store.etcd.keyspace import Keyspace
from ddnsd.store.etcd.session import Session
from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.etcd.timeline import Ended, next_timeline, read_timeline
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

_LOOK = 2.0  # seconds between two questions, so that an idle node notices a restore too
_RETRY = 0.5  # seconds
_ENDING = 5.0  # seconds for a session of before to end; what hangs in it may be why there is another one


class Keeper:
    """Holds the session of now; replaces it when etcd was restored, or when it is of no use any more."""

    def __init__(self, settings: EtcdStoreSettings, session: Session, failures: Failures) -> None:
        self.session = session
        self._failures = failures
        self._settings = settings
        self._renewal = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()  # of sessions that were replaced
        self._task = asyncio.create_task(self._run(), name="etcd store")
        self._task.add_done_callback(_note_fall)

    def reconfigure(self, settings: EtcdStoreSettings) -> None:
        """Go on with these, in this session and all that follow it."""
        self._settings = settings
        self.session.client.reconfigure(settings.cluster)

    async def close(self) -> None:
        """End all; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.session.close()
        if self._endings:
            await asyncio.wait(self._endings, timeout=_ENDING)

    def renew(self, reason: str) -> None:
        """Replace the session, though its history goes on; do so once, however often it is asked for."""
        if not self._renewal.is_set():
            _log.warning("store.renewed", reason=reason)
            self._renewal.set()

    async def _run(self) -> None:
        while True:
            await self._end_of_use()
            if self.session.restored.is_set():
                await self._follow_restore()
            else:
                await self._replace()
            _log.warning("store.reopened", identity=self.session.identity)

    async def _follow_restore(self) -> None:
        ended = Ended(self.session.client.cluster_id, self.session.timeline)
        await asyncio.wait([self._end(self.session)], timeout=_ENDING)
        self.session = await self._reopened(ended)
        self._renewal.clear()

    async def _replace(self) -> None:
        """Go on with another session; the one of before ends by itself, if it can."""
        before, session = self.session, await self._reopened(None)
        if session.identity == before.identity:
            # etcd may have been restored while there was none to answer; what is known of before shows it.
            session.note_clock(before.clock)
            await self._look_once(session)
        self.session = session
        self._renewal.clear()
        before.note_replaced()
        self._end(before)

    def _end(self, session: Session) -> asyncio.Task[None]:
        ending = asyncio.create_task(session.end(), name="etcd session of before")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return ending

    async def _end_of_use(self) -> None:
        """Wait until this session's history has ended, or it is to be replaced."""
        looking = asyncio.create_task(self._look(), name="etcd store look")
        try:  # not one after the other: what a useless session is asked may never be answered
            ends = (self.session.restored.wait(), self._renewal.wait())
            await first_of(asyncio.wait([looking]), *ends)
        finally:
            looking.cancel()
        if looking.done():
            looking.result()

    async def _look(self) -> None:
        """Ask this session's etcd now and then. Never returns."""
        while True:
            with suppress(UnavailableError):
                await read_clock(self.session)
            await asyncio.sleep(_LOOK)

    async def _look_once(self, session: Session) -> None:
        """Compare the clock with what is known of it, waiting for etcd as long as it takes."""
        try:
            while not session.restored.is_set():
                try:
                    await read_clock(session)
                except UnavailableError:
                    await asyncio.sleep(_RETRY)
                else:
                    return
        except BaseException:  # cancelled: nobody else knows of it yet
            await session.close()
            raise

    async def _reopened(self, ended: Ended | None) -> Session:
        while True:
            try:
                return await open_session(self._settings, self._failures, ended)
            except EtcdError as error:
                self._failures.failed(Access.READ, error)
                await asyncio.sleep(_RETRY)


def _note_fall(task: asyncio.Task[None]) -> None:
    """Log what ends the task, as nothing should: from then on a restored etcd is not noticed."""
    if not task.cancelled():
        _log.error("task.fell", task=task.get_name(), exc_info=task.exception())


async def open_session(
    settings: EtcdStoreSettings, failures: Failures, ended: Ended | None = None
) -> Session:
    """Connect, and learn the timeline; `ended` is the history that was known before.

    Raises:
        EtcdError: not now.
    """
    space = Keyspace(settings.prefix)
    client = etcd.Client(settings.cluster)
    try:
        if ended is None:
            timeline = await read_timeline(client, space)
        else:
            timeline = await next_timeline(client, space, ended)
    except BaseException:  # cancelled, too
        await client.close()
        raise
    return Session(client, space, timeline, failures)


async def read_clock(session: Session) -> int | None:
    """Return the clock's revision, None where somebody has deleted it; read linearizably.

    Raises:
        RestoredError: of another history.
        UnavailableError: not now.
    """
    known = session.clock
    with session.translated():
        found = await session.client.range(session.space.clocks)
    return check_clocks(session, found, known)


def check_clocks(session: Session, found: RangeResult, known: int) -> int | None:
    """Return the clock's revision out of a range of it and the timeline; `known` is the one known before.

    Raises:
        RestoredError: of another history.
    """
    items = {item.key: item for item in found.items}
    timeline = items.get(session.space.timeline)
    session.check_timeline(timeline.value if timeline else None)
    clock = items.get(session.space.clock)
    if clock is None:
        return None
    session.check_clock(clock.mod_revision, known)
    return clock.mod_revision
