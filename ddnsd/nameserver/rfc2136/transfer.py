"""A zone transfer (AXFR, RFC 5936) over a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from ddnsd.aio import Slice
from ddnsd.nameserver.interface import NoAnswerError, Rcode, RefusedError, RRset
from ddnsd.nameserver.rfc2136.assembly import ZoneAssembly
from ddnsd.nameserver.rfc2136.connection import Connection, connect
from ddnsd.nameserver.rfc2136.messages import check_answers, rcode, transfer_message
from ddnsd.nameserver.rfc2136.reader import MalformedError, Message, Record, read_message
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.nameserver.rfc2136.signature import SignatureError, Signer, UnsignedError, Verifier

_PART = 200  # records: less than a millisecond
# What ends it for good: not for this key, not this zone, none at all (RFC 5936 §2.2.1). All else may pass:
# a zone that is being loaded, a nameserver with too many transfers.
_NOT_ALLOWED = frozenset((Rcode.REFUSED, Rcode.NOTAUTH, Rcode.NOTIMP))


async def transfer(
    settings: Rfc2136Settings, signer: Signer, id: int, zone: str
) -> AsyncIterator[Sequence[RRset]]:
    """Yield the whole zone in parts, in slices of the event loop.

    Nothing of it is certain before its end: the last message carries the signature of those before.

    Raises (while iterating):
        UnreachableError: no connection.
        NoAnswerError: broken off, forged, or no message within the settings' `timeout`.
        RefusedError: the nameserver does not give the zone away, and will not later.
    """
    request = transfer_message(id, zone)
    signed, verifier = signer.sign(request, several=True)
    connection = await connect(settings)
    try:
        messages = _Messages(settings, connection, request, verifier)
        await messages.ask(signed)
        assembly, slice = ZoneAssembly(zone), Slice()
        while not assembly.is_complete:
            message = await messages.next()
            for records in _slices(message):
                rrsets = assembly.add(message, records)
                if rrsets:
                    yield rrsets
                await slice.pause()
        messages.end()
    except (MalformedError, SignatureError) as error:
        raise NoAnswerError(f"{settings.name}: transfer of {zone}: {error}") from error
    finally:
        connection.abort()
        await connection.closed()


def _slices(message: Message) -> Iterator[Sequence[Record]]:
    records = message.answers
    return (records[start : start + _PART] for start in range(0, len(records), _PART))


class _Messages:
    """The messages of one transfer, each checked as it comes."""

    def __init__(
        self, settings: Rfc2136Settings, connection: Connection, request: bytes, verifier: Verifier
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._request = request
        self._verifier = verifier

    async def ask(self, signed: bytes) -> None:
        async with self._progress():
            await self._connection.send(signed)

    async def next(self) -> Message:
        async with self._progress():
            wire = await self._connection.receive()
        message = read_message(wire)
        check_answers(message, self._request)
        code = rcode(message)
        if code in _NOT_ALLOWED:  # an error may be unsigned
            raise RefusedError(
                f"{self._settings.name} answers {code} to a zone transfer: "
                "has it the zone, and may the key transfer it? (docs/nameservers.md)"
            )
        if code is not Rcode.NOERROR:
            raise NoAnswerError(f"{self._settings.name} answers {code} to a zone transfer now")
        self._verifier.check(message)
        return message

    def end(self) -> None:
        if not self._verifier.is_complete:
            raise UnsignedError("its end is not signed")

    @asynccontextmanager
    async def _progress(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settings.timeout):
                yield
        except TimeoutError as error:
            reason = f"no more of the transfer within {self._settings.timeout} s"
            raise NoAnswerError(f"{self._settings.name}: {reason}") from error
