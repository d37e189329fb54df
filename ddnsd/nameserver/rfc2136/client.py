"""The nameserver behind `nameserver.interface`, reached over TCP: UPDATE, queries and zone transfers.

Messages go out and come in whole (RFC 1035 §4.2.2), side by side on connections that stay open
(RFC 7766 §6.2.1.1). A transfer (AXFR, RFC 5936) has a connection of its own; the records between its two SOAs
become RRsets.
"""

import asyncio
import itertools
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import structlog

from ddnsd.aio import Gate, Slice
from ddnsd.nameserver.interface import (
    Hidden,
    NoAnswerError,
    QueryRefusedError,
    Rcode,
    RecordType,
    RRset,
    UnreachableError,
    Update,
)
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.nameserver.rfc2136.tsig import SignatureError, Signer, UnsignedError, Verifier
from ddnsd.nameserver.wire import (
    TYPES,
    MalformedMessageError,
    Message,
    Record,
    answered_rrset,
    check_answers,
    decode,
    hidden,
    query_message,
    rcode,
    read_message,
    transfer_message,
    update_message,
)


async def connect(settings: Rfc2136Settings) -> "Connection":
    """Open a connection.

    Raises:
        UnreachableError: there is none within the settings' `connect_timeout`.
    """
    try:
        async with asyncio.timeout(settings.connect_timeout):
            reader, writer = await asyncio.open_connection(settings.host, settings.port)
    except OSError as error:  # TimeoutError is one
        reason = str(error) or f"no connection within {settings.connect_timeout} s"
        raise UnreachableError(f"{settings.name}: {reason}") from error
    return Connection(settings.name, reader, writer)


class Connection:
    """One connection, for one sender and one receiver at a time."""

    def __init__(self, name: str, reader: StreamReader, writer: StreamWriter) -> None:
        """`name` is the nameserver's, for error texts."""
        self._name = name
        self._reader = reader
        self._writer = writer

    @property
    def is_usable(self) -> bool:
        """Say whether neither side is known to have closed it."""
        return not (self._writer.is_closing() or self._reader.at_eof() or self._reader.exception())

    async def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            UnreachableError: the connection was closed before; nothing was sent.
            NoAnswerError: the connection broke; part of it, or all, may have arrived.
        """
        if self._writer.is_closing():
            raise UnreachableError(f"{self._name}: the connection is closed")
        try:
            self._writer.write(len(message).to_bytes(2) + message)
            await self._writer.drain()
        except OSError as error:
            raise NoAnswerError(f"{self._name}: the connection broke: {error}") from error

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            NoAnswerError: the connection ended before there was a whole one.
        """
        try:
            length = int.from_bytes(await self._reader.readexactly(2))
            return await self._reader.readexactly(length)
        except (IncompleteReadError, OSError) as error:
            raise NoAnswerError(f"{self._name} closed the connection") from error

    def abort(self) -> None:
        """Close it at once and send nothing more; idempotent."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until an aborted connection has let go of its socket."""
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it is closed; its user knows already how it broke


class _Pipeline:
    """One connection, and who waits on it for which answer."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.connection = connection
        self._name = name
        self._waiting: dict[bytes, asyncio.Future[bytes | NoAnswerError]] = {}
        self._reading = asyncio.create_task(self._read(), name="nameserver answers")

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    async def ask(self, request: bytes) -> bytes:
        answer: asyncio.Future[bytes | NoAnswerError] = asyncio.get_running_loop().create_future()
        id = request[:2]
        self._waiting[id] = answer
        try:
            await self.connection.send(request)
            outcome = await answer
        finally:
            self._waiting.pop(id, None)
        if isinstance(outcome, NoAnswerError):
            raise outcome
        return outcome

    async def _read(self) -> None:
        try:
            while True:
                self._deliver(await self.connection.receive())
        except NoAnswerError as error:
            self.fail(str(error))

    def _deliver(self, message: bytes) -> None:
        answer = self._waiting.pop(message[:2], None)
        if answer is None:
            raise NoAnswerError(f"{self._name}: an answer to nothing that was asked")
        if not answer.done():  # else its time ended in this very turn of the loop: nobody waits for it
            answer.set_result(message)

    def fail(self, reason: str) -> None:
        """Close the connection; nobody gets an answer any more."""
        self.connection.abort()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_result(NoAnswerError(reason))

    async def close(self) -> None:
        self.fail(f"{self._name}: closed by us")
        await asyncio.wait([self._reading])
        await self.connection.closed()


class Channel:
    """Opens a connection when there is something to ask, keeps it, and closes it when unused."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        self._settings = settings
        self._pipeline: _Pipeline | None = None
        self._opening: asyncio.Task[_Pipeline] | None = None
        self._closing: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the message with its id that comes back.

        Raises:
            UnreachableError: no connection; nothing was sent.
            NoAnswerError: sent, but nothing, or something else, came back within the settings'
                `timeout`. The connection is closed, also for all others who wait on it.
        """
        pipeline = await self._open()
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = await pipeline.ask(request)
        except TimeoutError as error:
            reason = f"{self._settings.name}: no answer within {self._settings.timeout} s"
            pipeline.fail(reason)
            raise NoAnswerError(reason) from error
        except BaseException:  # a caller that is cancelled leaves an answer behind that nobody expects
            pipeline.fail(f"{self._settings.name}: the connection was given up")
            raise
        self._close_when_idle(pipeline)
        return answer

    async def _open(self) -> _Pipeline:
        """Return a pipeline that nobody is known to have closed."""
        if self._closing is not None:
            self._closing.cancel()
        if self._pipeline is not None and self._pipeline.connection.is_usable:
            return self._pipeline
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), name="nameserver connect")
            self._opening.add_done_callback(self._opened)
        # All who come meanwhile share the attempt, and how it ends: else each would wait its own time.
        return await asyncio.shield(self._opening)

    async def _connect(self) -> _Pipeline:
        return _Pipeline(self._settings.name, await connect(self._settings))

    def _opened(self, opening: asyncio.Task[_Pipeline]) -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._pipeline = opening.result()

    def _close_when_idle(self, pipeline: _Pipeline) -> None:
        if pipeline is not self._pipeline:  # another has taken its place: nobody asks here any more
            _close_if_idle(pipeline)
        elif pipeline.is_idle:
            if self._closing is not None:  # all whose answers came in one read find it idle
                self._closing.cancel()
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(self._settings.idle_timeout, _close_if_idle, pipeline)

    def reconfigure(self, settings: Rfc2136Settings) -> None:
        """Use other times from the next request on."""
        self._settings = settings

    def abort(self) -> None:
        """Trust the connection no more: close it; idempotent."""
        if self._pipeline is not None:
            self._pipeline.fail(f"{self._settings.name}: the connection was given up")

    async def close(self) -> None:
        """Release everything; idempotent."""
        if self._closing is not None:
            self._closing.cancel()
        if self._opening is not None:
            await asyncio.wait([self._opening])  # at most `connect_timeout`
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            await pipeline.close()


class Pool:
    """Channels, each for one request at a time: what is slow, or breaks, delays and breaks nothing else."""

    def __init__(self, settings: Callable[[], Rfc2136Settings], most: Callable[[], int]) -> None:
        """`settings` are those of now; `most` says how many channels there may be in use at once."""
        self._settings = settings
        self._gate = Gate(most)
        self._free: list[Channel] = []  # the one used last at the end: it is the likeliest to be open

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """Have a channel to oneself; wait for one where all are in use."""
        async with self._gate.place(lambda: False):
            channel = self._free.pop() if self._free else Channel(self._settings())
            channel.reconfigure(self._settings())
            try:
                yield channel
            finally:
                self._free.append(channel)

    async def close(self) -> None:
        """Release everything that is not in use; idempotent."""
        free, self._free = self._free, []
        for channel in free:
            await channel.close()


def _close_if_idle(pipeline: _Pipeline) -> None:
    if pipeline.is_idle:
        pipeline.fail("unused")


_SOA = RecordType.SOA


class ZoneAssembly:
    """Takes the records of a transfer in their order and gives RRsets.

    A nameserver may spread an RRset over messages, but writes a name's records one after the other
    (BIND, Knot and PowerDNS all do).
    """

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._name = zone
        self._ttls: dict[RecordType, int] = {}  # of the name's RRsets
        self._values: dict[RecordType, list[str]] = {}
        self._began = False
        self.is_complete = False

    def add(self, message: Message, records: Sequence[Record]) -> list[RRset]:
        """Take the next records of the message and return the RRsets that they completed.

        Raises:
            MalformedMessageError: they are none of a transfer of this zone.
        """
        completed: list[RRset] = []
        for record in records:
            if self.is_complete:
                raise MalformedMessageError("a transfer goes on after its end")
            name, code, _, ttl, _, _ = record
            if name != self._name:
                completed += self._take()
                self._name = name
            kind = TYPES.get(code)
            if kind is _SOA or not self._began:
                completed += self._border(record)
            if kind is not None and not self.is_complete:
                value = decode(message.wire, record)
                if kind in self._values:
                    self._values[kind].append(value)
                else:
                    self._ttls[kind], self._values[kind] = ttl, [value]
        return completed

    def _border(self, record: Record) -> list[RRset]:
        """Begin with the zone's SOA, and end with it."""
        if TYPES.get(record.type) is not _SOA or record.name != self._zone:
            raise MalformedMessageError("a transfer does not begin and end with the zone's SOA")
        self.is_complete, self._began = self._began, True
        return self._take() if self.is_complete else []

    def _take(self) -> list[RRset]:
        """Return the RRsets of the name that has ended."""
        if not self._values:
            return []
        rrsets = [
            RRset(self._name, kind, self._ttls[kind], tuple(sorted(values)))
            for kind, values in self._values.items()
        ]
        self._ttls, self._values = {}, {}
        return rrsets


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
        QueryRefusedError: the nameserver does not give the zone away, and will not later.
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
    except (MalformedMessageError, SignatureError) as error:
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
            raise QueryRefusedError(
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
            QueryRefusedError: the answer is an error.
        """
        request = query_message(next(self._ids), name, type)
        message = await self._ask(self._queries, zone, request, _UNSIGNED_TO_QUERY)
        if rcode(message) not in _FOUND:
            reason: str = rcode(message)
            remedy = f"does the nameserver have the zone {zone}, and may ddnsd's key ask it?"
            if zone in self._refused_keys:  # it says more than the code
                reason, remedy = self._refused_keys[zone], _KEY_REMEDY
            raise QueryRefusedError(f"{self._settings.name}: {name} {type}: {reason}; {remedy}")
        try:
            return answered_rrset(message, zone, name, type) or hidden(message, zone, name)
        except MalformedMessageError as error:
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
        except (MalformedMessageError, SignatureError) as error:
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
