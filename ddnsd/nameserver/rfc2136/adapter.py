"""The nameserver behind `nameserver.interface`, as its messages and connections."""

import itertools
from collections.abc import AsyncIterator, Sequence

import structlog

from ddnsd.nameserver.interface import Hidden, NoAnswerError, Rcode, RecordType, RefusedError, RRset, Update
from ddnsd.nameserver.rfc2136.channel import Channel, Pool
from ddnsd.nameserver.rfc2136.messages import (
    answered_rrset,
    check_answers,
    hidden,
    query_message,
    rcode,
    update_message,
)
from ddnsd.nameserver.rfc2136.reader import MalformedError, Message, read_message
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.nameserver.rfc2136.signature import SignatureError, Signer, UnsignedError, Verifier
from ddnsd.nameserver.rfc2136.transfer import transfer

_log = structlog.get_logger(__name__)

_FOUND = frozenset((Rcode.NOERROR, Rcode.NXDOMAIN))
# What a nameserver may say unsigned: that our key is not good (BIND and Knot: NOTAUTH, PowerDNS: REFUSED),
# and that it does not answer a question. An UPDATE's other codes tell what was done, which only somebody
# with the key can know.
_KEY_REMEDY = "give both the same key (name, algorithm, secret); let both clocks agree"
_UNSIGNED_TO_UPDATE = frozenset((Rcode.NOTAUTH, Rcode.REFUSED))
_UNSIGNED_TO_QUERY = frozenset(Rcode) - _FOUND


class Rfc2136Nameserver:
    """A `Nameserver` that is reached over TCP. Belongs to the event loop that it is first used on.

    All queries share one connection; an update has one to itself while it is in flight, a transfer opens
    its own. So no zone waits for another until all connections are in use (BIND takes 150 from all its
    clients together by default, `tcp-clients`).
    """

    def __init__(self, settings: Rfc2136Settings) -> None:
        self._settings = settings
        self._signer = Signer(settings)
        self._ids = itertools.cycle(range(2**16))  # in turn: no two requests in flight share one
        self._queries = Channel(settings)
        self._updates = Pool(lambda: self._settings, lambda: _updates(self._settings))
        self._refused_keys: dict[str, str] = {}  # why, by zone, while ours is refused

    @property
    def address(self) -> tuple[str, int]:
        """Where it is: host and port."""
        return self._settings.host, self._settings.port

    @property
    def max_transfers(self) -> int:
        """How many transfers it takes at once."""
        return self._settings.max_transfers

    def reconfigure(self, settings: Rfc2136Settings) -> None:
        """Use another key, or other times, from the next request on; its address stays.

        Connections stay open, as a key signs messages (RFC 8945), and what was asked with the old key is
        checked with the old key.
        """
        self._settings = settings
        self._signer = Signer(settings)
        self._refused_keys.clear()
        self._queries.reconfigure(settings)

    async def update(self, update: Update) -> Rcode:
        """Send one UPDATE and return the answer's code, whatever it is.

        Raises:
            UnreachableError: no connection; certainly nothing was applied.
            NoAnswerError: sent; its outcome is unknown.
            ValueError: longer than 65,535 octets, or a name or value that no record can have.
        """
        request = update_message(next(self._ids), update)
        async with self._updates.channel() as channel:
            return rcode(await self._ask(channel, update.zone, request, _UNSIGNED_TO_UPDATE))

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        """Return the RRset as this nameserver serves it now, None where there is none, or what hides it.

        Raises:
            UnreachableError: no connection.
            NoAnswerError: no valid answer.
            RefusedError: the answer is an error.
        """
        request = query_message(next(self._ids), name, type)
        message = await self._ask(self._queries, zone, request, _UNSIGNED_TO_QUERY)
        if rcode(message) not in _FOUND:
            reason: str = rcode(message)
            remedy = f"does the nameserver have the zone {zone}, and may ddnsd's key ask it?"
            if zone in self._refused_keys:  # it says more than the code
                reason, remedy = self._refused_keys[zone], _KEY_REMEDY
            raise RefusedError(f"{self._settings.name}: {name} {type}: {reason}; {remedy}")
        try:
            return answered_rrset(message, zone, name, type) or hidden(message, zone, name)
        except MalformedError as error:
            self._queries.abort()
            raise NoAnswerError(f"{self._settings.name}: {error}") from error

    async def _ask(self, channel: Channel, zone: str, request: bytes, unsigned: frozenset[Rcode]) -> Message:
        """Return the answer to a request; `unsigned` are the codes to be believed without a signature."""
        signed, verifier = self._signer.sign(request)
        answer = await channel.ask(signed)
        try:
            message = read_message(answer)
            check_answers(message, request)
            self._verify(message, zone, verifier, unsigned)
        except (MalformedError, SignatureError) as error:
            channel.abort()
            raise NoAnswerError(f"{self._settings.name}: {error}") from error
        return message

    def _verify(self, message: Message, zone: str, verifier: Verifier, unsigned: frozenset[Rcode]) -> None:
        try:
            verifier.check(message)
        except UnsignedError as error:
            if rcode(message) not in unsigned:
                raise
            self._note_refused_key(zone, f"{rcode(message)}, {error}")
        else:
            self._refused_keys.pop(zone, None)

    def _note_refused_key(self, zone: str, reason: str) -> None:
        """Log it once, not at each try: it stays so until somebody changes a key or a clock."""
        if reason != self._refused_keys.get(zone):
            self._refused_keys[zone] = reason
            _log.warning(
                "nameserver.key_refused",
                nameserver=self._settings.name,
                zone=zone,
                reason=reason,
                remedy=_KEY_REMEDY,
            )

    def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        """Yield the whole zone in parts: see `rfc2136.transfer`."""
        return transfer(self._settings, self._signer, next(self._ids), zone)

    async def leave(self, zone: str) -> None:
        """Forget what was wrong with the zone; it has no connection of its own."""
        self._refused_keys.pop(zone, None)

    async def close(self) -> None:
        """Close the connections; idempotent."""
        await self._updates.close()
        await self._queries.close()


def _updates(settings: Rfc2136Settings) -> int:
    """Return how many of the connections are for updates: those that queries and transfers leave."""
    return max(1, settings.max_connections - settings.max_transfers - 1)
