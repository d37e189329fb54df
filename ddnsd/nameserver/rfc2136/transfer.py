"""A zone transfer (AXFR, RFC 5936) over a connection of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from ddnsd.nameserver.interface import NoAnswerError, Rcode, RefusedError, RRset

from .assembly import ZoneAssembly
from .connection import Connection, connect
from .messages import check_answers, rcode, transfer_message
from .reader import MalformedError, Message, Record, read_message
from .settings import Rfc2136Settings
from .signature import SignatureError, Signer, UnsignedError, Verifier

_TURN = 1000  # records for one turn of the event loop: some 4 ms


async def transfer(
    settings: Rfc2136Settings, signer: Signer, id: int, zone: str
) -> AsyncIterator[Sequence[RRset]]:
    """Yield the whole zone in parts, a turn of the event loop between any two.

    Nothing of it is certain before its end: the last message carries the signature of those before.

    Raises (while iterating):
        UnreachableError: no connection.
        NoAnswerError: broken off, forged, or no message within the settings' `timeout`.
        RefusedError: the nameserver does not give the zone away.
    """
    request = transfer_message(id, zone)
    signed, verifier = signer.sign(request, several=True)
    connection = await connect(settings)
    try:
        messages = _Messages(settings, connection, request, verifier)
        await messages.ask(signed)
        assembly = ZoneAssembly(zone)
        while not assembly.is_complete:
            message = await messages.next()
            for records in _slices(message):
                rrsets = assembly.add(message, records)
                if rrsets:
                    yield rrsets
                await asyncio.sleep(0)
        messages.end()
    except (MalformedError, SignatureError) as error:
        raise NoAnswerError(f"{settings.name}: transfer of {zone}: {error}") from error
    finally:
        connection.abort()
        await connection.closed()


def _slices(message: Message) -> Iterator[Sequence[Record]]:
    records = message.answers
    return (records[start : start + _TURN] for start in range(0, len(records), _TURN))


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
        if rcode(message) is not Rcode.NOERROR:  # an error may be unsigned
            raise RefusedError(
                f"{self._settings.name} answers {rcode(message)} to a zone transfer: "
                "has it the zone, and may the key transfer it? (docs/nameservers.md)"
            )
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
