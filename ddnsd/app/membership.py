"""This node among the installation's members, for as long as it runs."""

import asyncio
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd.model.records import Beat, Member
from ddnsd.store import codec
from ddnsd.store.interface import Registration, Store, UnavailableError
from ddnsd.store.snapshot import WatchCache

_log = structlog.get_logger(__name__)

_BEAT_SECONDS = 10.0
_RETRY_SECONDS = 1.0


class Membership:
    """Registers the node and says every few seconds how it is. Run `run()` as a task of its own."""

    def __init__(self, store: Store, cache: WatchCache, id: str, member: Member) -> None:
        self._store = store
        self._cache = cache
        self._id = id
        self._member = member

    async def run(self) -> None:
        """Stay registered. Never returns; cancelled, it takes the registration away."""
        registration: Registration | None = None
        try:
            while True:
                try:
                    await self._cache.current()
                    if registration is None:
                        registration = await self._store.register(self._id, self._value())
                    else:
                        await registration.update(self._value())
                except UnavailableError as error:
                    _log.warning("member.not_registered", reason=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    await asyncio.sleep(_BEAT_SECONDS)
        finally:
            if registration is not None:
                await registration.close()

    def _value(self) -> bytes:
        beat = Beat(datetime.now(UTC), self._cache.revision, round(self._cache.lag, 6))
        return codec.encode(msgspec.structs.replace(self._member, beat=beat))
