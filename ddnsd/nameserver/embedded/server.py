"""The embedded nameserver: zones in memory, answered on UDP and TCP, changed by the publisher only."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Self

import structlog

from ddnsd.aio import Slice
from ddnsd.nameserver.embedded.listeners import Address, Listeners
from ddnsd.nameserver.embedded.ratelimit import ResponseRates
from ddnsd.nameserver.embedded.responder import Responder
from ddnsd.nameserver.embedded.serial import Serials
from ddnsd.nameserver.embedded.settings import EmbeddedSettings
from ddnsd.nameserver.embedded.zone import Zone
from ddnsd.nameserver.interface import (
    LoadedNameserver,
    Rcode,
    RecordType,
    RefusedError,
    RRset,
    UnreachableError,
    Update,
)

PART = 200  # RRsets transferred in one turn of the event loop
_TRANSFERS = 4  # at once
_log = structlog.get_logger(__name__)


class EmbeddedNameserver(LoadedNameserver):
    """A `Nameserver` of this process, for an installation of one machine.

    It holds nothing but the serials on disk: `open` loads a zone from the store. What a query gets:
    for a zone that is open, the data; for one that is expected but not open yet, SERVFAIL, after which
    a resolver tries again or elsewhere; for all else REFUSED. Nothing that comes over the network can
    change a zone or transfer it. Closing it ends the service: only its owner does that, at the end.
    """

    def __init__(
        self, settings: EmbeddedSettings, serials: Serials, hidden: Callable[[str], str] = lambda _zone: ""
    ) -> None:
        """Use `start`."""
        self._settings = settings
        self._serials = serials
        self._zones: dict[str, Zone | None] = {}  # None: expected, not open
        rates = ResponseRates(settings.responses_per_second)
        self._responder = Responder(self._zones, rates, settings.addresses, hidden)
        self._listeners = Listeners(settings, self._responder.respond)

    @classmethod
    async def start(
        cls,
        settings: EmbeddedSettings,
        zones: Iterable[str] = (),
        hidden: Callable[[str], str] = lambda _zone: "",
    ) -> Self:
        """Return a nameserver that listens and expects the zones.

        `hidden` returns the one name in a zone that is not answered to clients, "" if there is none.

        Raises:
            SerialFileError: its file is damaged.
            ListenError: an address is not to be had.
        """
        server = cls(settings, await Serials.load(settings.folder), hidden)
        server.expect(zones)
        try:
            await server._listeners.open()
        except BaseException:
            server._serials.close()
            raise
        _log.info("nameserver.listening", nameserver=settings.name, addresses=server.addresses)
        return server

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses it listens on, in the settings' order, with their actual ports."""
        return self._listeners.addresses

    @property
    def max_transfers(self) -> int:
        """How many transfers it takes at once."""
        return _TRANSFERS

    @property
    def answers(self) -> Mapping[str, int]:
        """How many messages from the network it answered, by code (see `Responder.answers`)."""
        return self._responder.answers

    def expect(self, zones: Iterable[str]) -> None:
        """Take the zones for its own; those not open yet answer SERVFAIL. Call it before they are opened."""
        for zone in zones:
            self._zones.setdefault(zone)

    async def leave(self, zone: str) -> None:
        """Forget a zone that was deleted or moved away: from now on REFUSED. Its serials are remembered."""
        self._zones.pop(zone, None)

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        """Serve the zone with exactly these contents, from one moment to the next.

        The serial grows unless the same was served before. Until it returns, what was served stays.

        Raises:
            UnreachableError: no serial could be reserved on disk.
            InvalidRecordError: the contents are not valid.
        """
        fresh = Zone(zone, self._settings.authority, serial=0)
        async for rrset in Slice().each(contents):
            fresh.load((rrset,))
        await self._reserve(zone)
        served = self._zones.get(zone)
        if served is None or not served.same_contents(fresh):
            fresh.serial = self._serials.take(zone)
            self._zones[zone] = fresh

    async def update(self, update: Update) -> Rcode:
        """Change the zone as RFC 2136 says; NOTAUTH if it is not open.

        Raises:
            UnreachableError: no serial could be reserved on disk; nothing was changed.
        """
        if self._zones.get(update.zone) is not None:
            await self._reserve(update.zone)
        zone = self._zones.get(update.zone)  # again: it may be another now, or gone
        if zone is None:
            return Rcode.NOTAUTH
        return zone.apply(update, lambda: self._serials.take(update.zone))

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | None:
        """Return the RRset that is served.

        Raises:
            RefusedError: the zone is not open.
        """
        return self._opened(zone).rrset(name, type)

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        """Yield the zone, its SOA first, in parts of at most 200 RRsets.

        Raises:
            RefusedError: the zone is not open.
        """
        slice = Slice()
        for part in self._opened(zone).rrsets(PART):
            yield part
            await slice.pause()

    async def close(self) -> None:
        """Stop answering; idempotent."""
        await self._listeners.close()
        self._serials.close()

    def _opened(self, zone: str) -> Zone:
        opened = self._zones.get(zone)
        if opened is None:
            raise RefusedError(f"nameserver {self._settings.name!r}: the zone {zone} is not open here")
        return opened

    async def _reserve(self, zone: str) -> None:
        """Make sure of a serial for the step that follows, in which nobody else can take it."""
        try:
            while not self._serials.ready(zone):
                await self._serials.reserve(zone)
        except OSError as error:
            raise UnreachableError(
                f"nameserver {self._settings.name!r}: no SOA serial can be reserved in "
                f"{self._settings.folder}: {error.strerror or error}"
            ) from error
