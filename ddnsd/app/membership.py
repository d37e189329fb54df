"""This node among the installation's members, for as long as it runs."""

import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd import __version__
from ddnsd.aio import Trigger
from ddnsd.config import Settings
from ddnsd.model.records import Beat, Member, SelfEnded
from ddnsd.store import tables
from ddnsd.store.interface import Registration, Store, UnavailableError
from ddnsd.store.watch_cache import Touched, WatchCache

_log = structlog.get_logger(__name__)

_BEAT_SECONDS = 10.0
_RETRY_SECONDS = 1.0


def member_of(
    settings: Settings, ended: SelfEnded | None, addresses: Mapping[str, str], worker: int | None = None
) -> Member:
    """Return what a node, or one of its workers, says of itself when it begins, and of the one before it.

    `addresses` are those of its listeners, by name.
    """
    now = datetime.now(UTC)
    name = settings.node.name or socket.gethostname()
    return Member(
        name=name if worker is None else f"{name}/{worker}",
        region=settings.node.region,
        version=__version__,
        started=now,
        nameservers=frozenset(settings.nameservers),
        eligible=settings.leader.eligible,
        priority=settings.leader.priority,
        addresses=addresses,
        beat=Beat(now, 0, 0),
        ended=ended,
    )


class Membership:
    """Registers the node and says every few seconds how it is. Run `run()` as a task of its own.

    What it writes shows whether the store takes writes, also while nobody asks for any: what has failed is
    known to work again by this.

    A node that is outdated, or cannot make its state current, is no member: the others would leave
    leadership to it, and it cannot lead.
    """

    def __init__(
        self,
        store: Store,
        cache: WatchCache,
        id: str,
        member: Member,
        *,
        every: float = _BEAT_SECONDS,
        retry_after: float = _RETRY_SECONDS,
    ) -> None:
        """Say how the node is `every` so many seconds, and `retry_after` a failure."""
        self._store = store
        self._cache = cache
        self._id = id
        self._member = member
        self._registration: Registration | None = None
        self._every = every
        self._retry_after = retry_after
        self._is_failing = False  # whether it could not be said last
        self._due = Trigger()

    def reconfigure(self, member: Member) -> None:
        """Say this of the node from now on, and say it at once."""
        self._member = member
        self._due.due()

    async def run(self) -> None:
        """Stay registered. Never returns; cancelled, it takes the registration away."""
        unsubscribe = self._cache.subscribe(self._look, ())
        self._due.due()
        try:
            await self._due.run(
                self._beat, every=self._every, retry_on=UnavailableError, retry_after=self._retry_after
            )
        finally:
            unsubscribe()
            await self._leave()

    async def _beat(self) -> None:
        try:
            await self._cache.current()
            if self._registration is None:
                self._registration = await self._store.register(self._id, self._value())
            else:
                await self._registration.update(self._value())
        except UnavailableError as error:
            if not self._is_failing:  # once, not for each try of an outage
                _log.warning("member.not_registered", reason=str(error))
            self._is_failing = True
            if self._cache.trouble or self._cache.preserved.obstacle:
                await self._leave()
            raise
        if self._is_failing:
            self._is_failing = False
            _log.info("member.registered_again")

    async def _leave(self) -> None:
        registration, self._registration = self._registration, None
        if registration is not None:
            await registration.close()

    def _look(self, _: Sequence[Touched]) -> None:
        """Notice at once that this node has become outdated, also while it is registering."""
        if self._cache.preserved.obstacle:
            self._due.due()

    def _value(self) -> bytes:
        beat = Beat(datetime.now(UTC), self._cache.revision, round(self._cache.lag, 6))
        return tables.encode(msgspec.structs.replace(self._member, beat=beat))
