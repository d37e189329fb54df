"""Keeps the store on the history that etcd has now."""

import asyncio
from contextlib import suppress

import structlog

from ddnsd import etcd
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


class Keeper:
    """Holds the session of now; replaces it when etcd was restored."""

    def __init__(self, settings: EtcdStoreSettings, session: Session, failures: Failures) -> None:
        self.session = session
        self._failures = failures
        self._settings = settings
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

    async def _run(self) -> None:
        while True:
            await self._restored()
            await self.session.end()
            self.session = await self._reopened()
            _log.warning("store.reopened", identity=self.session.identity)

    async def _restored(self) -> None:
        """Wait until this session's history is over."""
        while not self.session.restored.is_set():
            with suppress(UnavailableError):
                await read_clock(self.session)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self.session.restored.wait()

    async def _reopened(self) -> Session:
        ended = Ended(self.session.client.cluster_id, self.session.timeline)
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
