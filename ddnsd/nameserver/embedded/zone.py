"""One zone in memory: its names and records, what an UPDATE does to them, and which of them answer.

The records of a name that does not exist may be those of a wildcard (RFC 4592).
Its SOA serials never fall, whatever happens to the process (RFC 1982 arithmetic).
"""

import asyncio
import struct
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Self

import dns.name
import msgspec

from ddnsd import files
from ddnsd.model.names import ancestors
from ddnsd.nameserver.embedded.settings import Authority
from ddnsd.nameserver.interface import Absent, Exists, Rcode, RecordType, RRset, Update
from ddnsd.nameserver.wire import (
    CLASS_IN,
    CODES,
    ENCODERS,
    HEADER,
    NS,
    SOA,
    pack_name,
    pack_name_below,
    pack_pointer,
    pack_record,
    pack_strings,
)

_WILDCARD = "*."  # RFC 4592 §2.1.1


class Names:
    """The names of a zone that have records, and those that exist because a name below them has."""

    def __init__(self, apex: str) -> None:
        """The apex exists whatever is added."""
        self._apex = apex
        self._below: Counter[str] = Counter()  # how many added names a name is, or has below it (§2.2.2)

    def __contains__(self, name: str) -> bool:
        """Say whether the name exists."""
        return name == self._apex or name in self._below

    def add(self, name: str) -> None:
        """Add a name of the zone that was not added."""
        self._below.update(self._line(name))

    def remove(self, name: str) -> None:
        """Remove a name that was added; those above it go with it, unless something else is below them."""
        line = self._line(name)
        self._below.subtract(line)
        for emptied in [each for each in line if not self._below[each]]:
            del self._below[emptied]

    def source(self, name: str) -> str | None:
        """Return the name whose records answer for one at or below the apex; None: there is no such name.

        A name that exists answers for itself, be it with nothing; for any other the wildcard right below
        the closest name above it that exists (§3.3.1).
        """
        if name in self:
            return name
        encloser = next(each for each in ancestors(name) if each in self)
        wildcard = _WILDCARD + encloser
        return wildcard if wildcard in self else None

    def _line(self, name: str) -> list[str]:
        """Return the name and those above it, up to the apex, which is not among them."""
        return list(takewhile(lambda each: each != self._apex, ancestors(name)))


MAX_TTL = 2**31 - 1  # RFC 2181 §8
MAX_TXT = 4096  # octets of one TXT record; far more than any record of ours, far less than a message
WRITABLE = frozenset((RecordType.A, RecordType.AAAA, RecordType.TXT))


def checked(rrset: RRset) -> RRset:
    """Return the RRset with its values sorted, each once.

    Raises:
        ValueError: a type other than A, AAAA and TXT, a bad TTL, no values or a bad value.
    """
    if rrset.type not in WRITABLE:
        raise ValueError(f"{rrset.name}: {rrset.type} is no type that can be written here")
    if not 0 <= rrset.ttl <= MAX_TTL or not rrset.values:
        raise ValueError(f"{rrset.name} {rrset.type}: no values, or a TTL out of range: {rrset.ttl}")
    try:
        _rdatas(rrset)
    except (OSError, ValueError) as error:
        raise ValueError(f"{rrset.name} {rrset.type}: a bad value: {error}") from error
    return rrset._replace(values=tuple(sorted(set(rrset.values))))


def _rdatas(rrset: RRset) -> list[bytes]:
    return [_ENCODERS[rrset.type](value) for value in rrset.values]


def _txt(value: str) -> bytes:
    octets = value.encode()
    if len(octets) > MAX_TXT:
        raise ValueError(f"{len(octets)} octets of TXT, {MAX_TXT} at most")
    return pack_strings(octets)


_ENCODERS = {
    **ENCODERS,
    RecordType.TXT: _txt,
}  # a text is served as it is, and in as many strings as it needs


def server_name(zone: str, authority: Authority) -> str:
    """Return the host name of the zone's name server, as the zones write names."""
    return (authority.server_name or f"ns.{zone}").rstrip(".").lower()


def _mailbox(zone: str, authority: Authority) -> dns.name.Name:
    """Return the mail address as a name: the local part is one label, dots and all (RFC 1035 §8)."""
    local, at, domain = authority.hostmaster.rpartition("@")
    if not at:
        return dns.name.from_text(authority.hostmaster or f"hostmaster.{zone}")
    return dns.name.Name((local.encode(), *dns.name.from_text(domain).labels))


_NOTHING: Mapping[int, RRset] = {}
_TIMERS = struct.Struct("!5I")  # of an SOA: the serial, and four times in seconds (RFC 1035 §3.3.13)


class Zone:
    """A zone that is served. No method waits, so each is one step for everybody on the event loop.

    The SOA and NS records at the apex follow from the authority and the serial; nothing else is here
    that was not loaded or written by an UPDATE.
    """

    def __init__(self, name: str, authority: Authority, serial: int) -> None:
        self.name = name
        self.size = len(pack_name(name))  # octets
        self.serial = serial  # the SOA's
        self._authority = authority
        self._below = "." + name
        self._nodes: dict[str, dict[int, RRset]] = {}  # by name and type
        self._names = Names(name)
        server = server_name(name, authority)
        self.server = server if self.contains(server) else ""  # the zone's own name server, if it lies in it
        self._mname = dns.name.from_text(server).to_text(omit_final_dot=True)
        self._rname = _mailbox(name, authority).to_text(omit_final_dot=True)

    def load(self, contents: Sequence[RRset]) -> Self:
        """Add the RRsets, the serial as it is; what is already there under a name and type is replaced.

        Raises:
            ValueError: an RRset is not valid, or outside the zone; those before it are loaded.
        """
        for rrset in contents:
            if not self.contains(rrset.name):
                raise ValueError(f"{rrset.name} does not belong to the zone {self.name}")
            self._put(checked(rrset))
        return self

    def contains(self, name: str) -> bool:
        """Say whether the name is the apex or below it."""
        return name == self.name or name.endswith(self._below)

    def source(self, name: str) -> str | None:
        """Return the name whose records answer for one of the zone; None: there is no such name."""
        return self._names.source(name)

    def types(self, name: str) -> Collection[int]:
        """Return the types that the name has records of."""
        apex = (SOA, NS) if name == self.name else ()
        return (*apex, *self._nodes.get(name, _NOTHING))

    def records(self, owner: bytes, name: str, type: int) -> list[bytes]:
        """Return the name's records of this type; `owner` is the packed name that they are sent with.

        The SOA and NS of the apex are for an answer: its question names the zone.
        """
        ttl = self._authority.ttl
        if name == self.name and type == SOA:
            return [pack_record(owner, SOA, CLASS_IN, ttl, self._soa(HEADER.size))]
        if name == self.name and type == NS:
            return [pack_record(owner, NS, CLASS_IN, ttl, pack_name_below(self.name, self._mname))]
        rrset = self._nodes.get(name, _NOTHING).get(type)
        if rrset is None:
            return []
        return [pack_record(owner, type, CLASS_IN, rrset.ttl, rdata) for rdata in _rdatas(rrset)]

    def denial(self, zone_at: int) -> bytes:
        """Return the SOA as it accompanies "no": its TTL is how long that may be cached (RFC 2308 §3).

        `zone_at` is where in the message the zone's name begins.
        """
        ttl = min(self._authority.ttl, self._authority.minimum)
        return pack_record(pack_pointer(zone_at), SOA, CLASS_IN, ttl, self._soa(zone_at))

    def rrset(self, name: str, type: RecordType) -> RRset | None:
        """Return the RRset in the interface's form."""
        if type is RecordType.SOA and name == self.name:
            return self._soa_rrset()
        return self._nodes.get(name, _NOTHING).get(CODES[type])

    def rrsets(self, size: int) -> Iterator[Sequence[RRset]]:
        """Yield the whole zone, the SOA first, in parts of about `size` RRsets.

        The zone may change between the parts: what is there all the time is yielded once, the rest
        at most once.
        """
        nodes = list(self._nodes.values())
        part = [self._soa_rrset()]
        for node in nodes:
            part += node.values()
            if len(part) > size - len(WRITABLE):
                yield part
                part = []
        if part:
            yield part

    def same_contents(self, other: "Zone") -> bool:
        """Say whether both serve the same but for the serial."""
        return self._nodes == other._nodes

    def apply(self, update: Update, take_serial: Callable[[], int]) -> Rcode:
        """Do what a server does with an UPDATE of this zone (RFC 2136 §3): all of it or nothing.

        Prerequisites come first (§3.2), then the prescan (§3.4.1). `take_serial` is called once if, and only
        if, anything is changed.
        """
        for prerequisite in update.prerequisites:
            failure = self._failure(prerequisite)
            if failure is not None:
                return failure
        for change in update.changes:
            if not self.contains(change.name):
                return Rcode.NOTZONE
        for change in update.changes:
            if change.type not in WRITABLE:
                return Rcode.REFUSED
        try:
            rrsets = [checked(RRset(*change)) if change.values else None for change in update.changes]
        except ValueError:
            return Rcode.FORMERR
        changed = [
            self._put(rrset) if rrset else self._remove(change.name, CODES[change.type])
            for change, rrset in zip(update.changes, rrsets, strict=True)
        ]
        if any(changed):
            self.serial = take_serial()
        return Rcode.NOERROR

    def _failure(self, prerequisite: Exists | Absent) -> Rcode | None:
        if not self.contains(prerequisite.name):
            return Rcode.NOTZONE
        rrset = self.rrset(prerequisite.name, prerequisite.type)
        if isinstance(prerequisite, Absent):
            return None if rrset is None else Rcode.YXRRSET
        held = rrset is not None and set(rrset.values) == set(prerequisite.values)
        return None if held else Rcode.NXRRSET

    def _put(self, rrset: RRset) -> bool:
        """Replace the RRset; say whether that changed anything."""
        name, code = rrset.name, CODES[rrset.type]
        if name not in self._nodes:
            self._nodes[name] = {}
            self._names.add(name)
        changed = self._nodes[name].get(code) != rrset
        self._nodes[name][code] = rrset
        return changed

    def _remove(self, name: str, code: int) -> bool:
        """Remove the RRset; say whether there was one."""
        node = self._nodes.get(name)
        if node is None or node.pop(code, None) is None:
            return False
        if not node:
            del self._nodes[name]
            self._names.remove(name)
        return True

    def _timers(self) -> tuple[int, int, int, int, int]:
        authority = self._authority
        return self.serial, authority.refresh, authority.retry, authority.expire, authority.minimum

    def _soa(self, zone_at: int) -> bytes:
        """Return the SOA's rdata for a message with the zone's name at the offset."""
        names = (pack_name_below(self.name, name, zone_at) for name in (self._mname, self._rname))
        return b"".join(names) + _TIMERS.pack(*self._timers())

    def _soa_rrset(self) -> RRset:
        value = " ".join((f"{self._mname}.", f"{self._rname}.", *map(str, self._timers())))
        return RRset(self.name, RecordType.SOA, self._authority.ttl, (value,))


BLOCK = 10_000  # serials made durable at once: one write of the file for so many changes of a zone
FILE = "serials.json"
_MODULUS = 2**32

Serial = Annotated[int, msgspec.Meta(ge=0, lt=_MODULUS)]


class Serials:
    """Hands out each zone's serials in order, from blocks that are durable before they are used.

    The file holds, for each zone, the first serial that has certainly not been served. A process that
    dies wastes the rest of its blocks, and nothing else. A zone that was never here, or that has been
    away, starts at the Unix time if that is ahead, so that it likely stays above what another server
    gave it meanwhile.
    """

    def __init__(self, path: Path, unused: Mapping[str, int], clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._unused = dict(unused)  # what the file says
        self._next: dict[str, int] = {}
        self._clock = clock
        self._wanted: set[str] = set()
        self._lock = asyncio.Lock()
        # One thread: a write that its caller no longer waits for still ends before the next one.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serials")

    @classmethod
    async def load(cls, folder: Path) -> Self:
        """Make the folder if it is missing and read the file in it.

        Raises:
            ValueError: it cannot be read, or it is damaged; the message names the remedy.
        """
        path = folder / FILE
        return cls(path, await asyncio.to_thread(_read_serials, path))

    def ready(self, zone: str) -> bool:
        """Say whether `take` has a serial for the zone."""
        return zone in self._next and self._next[zone] != self._unused[zone]

    def take(self, zone: str) -> int:
        """Return the zone's next serial; only while `ready`."""
        serial = self._next[zone]
        self._next[zone] = (serial + 1) % _MODULUS
        return serial

    async def reserve(self, zone: str) -> None:
        """Make the zone ready. Zones that ask while the file is being written share the next write.

        Raises:
            OSError: the file cannot be written; nothing has changed.
        """
        self._wanted.add(zone)
        async with self._lock:
            if self.ready(zone):
                return
            zones, self._wanted = self._wanted | {zone}, set()
            starts = {each: self._start(each) for each in zones if not self.ready(each)}
            ends = {each: (start + BLOCK) % _MODULUS for each, start in starts.items()}
            await self._write(self._unused | ends)
            self._next |= starts

    def close(self) -> None:
        """Release the thread; idempotent."""
        self._writer.shutdown(wait=False)

    def _start(self, zone: str) -> int:
        """Return where the zone goes on: after its last block, or at the time if it has none now."""
        now = int(self._clock()) % _MODULUS
        unused = self._unused.get(zone, now)
        return now if zone not in self._next and _is_ahead(now, unused) else unused

    async def _write(self, unused: dict[str, int]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, files.write, self._path, [msgspec.json.encode(unused)])
        self._unused = unused


def _is_ahead(serial: int, other: int) -> bool:
    """Say whether the serial is greater than the other (RFC 1982 §3.2)."""
    return 0 < (serial - other) % _MODULUS < _MODULUS // 2


def _read_serials(path: Path) -> dict[str, int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Serial])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(
            f"the SOA serials in {path} cannot be read: {error}. Restore the file, or delete it: "
            "the zones then go on at the Unix time, which a secondary takes for older if theirs was ahead."
        ) from error
