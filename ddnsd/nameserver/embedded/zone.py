"""One zone in memory: its names and records, what an UPDATE does to them, and which of them answer.

The records of a name that does not exist may be those of a wildcard (RFC 4592).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Self

import dns.exception
import dns.name
import dns.rdata
import dns.rdataset
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from ddnsd.model.names import ancestors, is_below
from ddnsd.nameserver.embedded.settings import Authority
from ddnsd.nameserver.interface import Absent, Exists, Rcode, RecordType, Replace, RRset, Update

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
_STRING = 255  # octets of one character-string (RFC 1035 §3.3)


class InvalidRecordError(ValueError):
    """The values are none that records of their type can have."""


@dataclass(frozen=True, slots=True)
class ServedRRset:
    """An RRset as the publisher wrote it, and ready to be rendered. Records of the same text are equal."""

    rrset: RRset
    rdataset: dns.rdataset.Rdataset = field(compare=False, repr=False)


def wire_type(record_type: RecordType) -> RdataType:
    """Return the number of a record type."""
    return RdataType[record_type.value]


def encode(rrset: RRset) -> ServedRRset:
    """Return the RRset as a record; its values sorted, each once.

    Raises:
        InvalidRecordError: a type other than A, AAAA and TXT, a bad TTL, no values or a bad value.
    """
    make = _MAKERS.get(rrset.type)
    if make is None:
        raise InvalidRecordError(f"{rrset.name}: {rrset.type} is no type that can be written here")
    if not 0 <= rrset.ttl <= MAX_TTL or not rrset.values:
        raise InvalidRecordError(f"{rrset.name} {rrset.type}: no values, or a TTL out of range: {rrset.ttl}")
    values = tuple(sorted(set(rrset.values)))
    try:
        rdatas = [make(value) for value in values]
    except (ValueError, dns.exception.DNSException) as error:
        raise InvalidRecordError(f"{rrset.name} {rrset.type}: a bad value: {error}") from error
    return ServedRRset(rrset._replace(values=values), dns.rdataset.from_rdata_list(rrset.ttl, rdatas))


def _txt(value: str) -> dns.rdata.Rdata:
    octets = value.encode()
    if len(octets) > MAX_TXT:
        raise ValueError(f"{len(octets)} octets of TXT, {MAX_TXT} at most")
    strings = [octets[start : start + _STRING] for start in range(0, len(octets), _STRING)]
    return TXT(IN, RdataType.TXT, strings or [b""])


_MAKERS: dict[RecordType, Callable[[str], dns.rdata.Rdata]] = {
    RecordType.A: lambda value: A(IN, RdataType.A, value),
    RecordType.AAAA: lambda value: AAAA(IN, RdataType.AAAA, value),
    RecordType.TXT: _txt,
}
WRITABLE = frozenset(_MAKERS)


def start_of_authority(zone: str, authority: Authority, serial: int) -> ServedRRset:
    """Return the zone's SOA."""
    timers = (serial, authority.refresh, authority.retry, authority.expire, authority.minimum)
    rdata = SOA(IN, RdataType.SOA, _server_name(zone, authority), _mailbox(zone, authority), *timers)
    rrset = RRset(zone, RecordType.SOA, authority.ttl, (rdata.to_text(),))
    return ServedRRset(rrset, dns.rdataset.from_rdata(authority.ttl, rdata))


def negative(soa: ServedRRset) -> dns.rdataset.Rdataset:
    """Return the SOA as it accompanies "no": its TTL is how long that may be cached (RFC 2308 §3)."""
    rdata = soa.rdataset[0]
    assert isinstance(rdata, SOA)
    return dns.rdataset.from_rdata(min(soa.rrset.ttl, rdata.minimum), rdata)


def name_servers(zone: str, authority: Authority) -> dns.rdataset.Rdataset:
    """Return the NS RRset of the zone's apex."""
    return dns.rdataset.from_rdata(authority.ttl, NS(IN, RdataType.NS, _server_name(zone, authority)))


def server_name(zone: str, authority: Authority) -> str:
    """Return the host name of the zone's name server, as the zones write names."""
    return (authority.server_name or f"ns.{zone}").rstrip(".").lower()


def _server_name(zone: str, authority: Authority) -> dns.name.Name:
    return dns.name.from_text(server_name(zone, authority))


def _mailbox(zone: str, authority: Authority) -> dns.name.Name:
    """Return the mail address as a name: the local part is one label, dots and all (RFC 1035 §8)."""
    local, at, domain = authority.hostmaster.rpartition("@")
    if not at:
        return dns.name.from_text(authority.hostmaster or f"hostmaster.{zone}")
    return dns.name.Name((local.encode(), *dns.name.from_text(domain).labels))


ServedName = dict[RdataType, ServedRRset]
_NOTHING: Mapping[RdataType, ServedRRset] = {}


class Zone:
    """A zone that is served. No method waits, so each is one step for everybody on the event loop.

    The SOA and NS records at the apex follow from the authority and the serial; nothing else is here
    that was not loaded or written by an UPDATE.
    """

    def __init__(self, name: str, authority: Authority, serial: int) -> None:
        self.name = name
        self.origin = dns.name.from_text(name)
        self._authority = authority
        self._nodes: dict[str, ServedName] = {}
        self._names = Names(name)
        self._servers = name_servers(name, authority)
        server = server_name(name, authority)
        self.server = server if self.contains(server) else ""  # the zone's own name server, if it lies in it
        self.serial = serial

    @property
    def serial(self) -> int:
        """The SOA's serial."""
        return self._serial

    @serial.setter
    def serial(self, serial: int) -> None:
        self._serial = serial
        self._soa = start_of_authority(self.name, self._authority, serial)
        self.denial = negative(self._soa)

    def load(self, contents: Sequence[RRset]) -> Self:
        """Add the RRsets, the serial as it is; what is already there under a name and type is replaced.

        Raises:
            InvalidRecordError: an RRset is not valid, or outside the zone; those before it are loaded.
        """
        for rrset in contents:
            if not self.contains(rrset.name):
                raise InvalidRecordError(f"{rrset.name} does not belong to the zone {self.name}")
            self._put(encode(rrset))
        return self

    def contains(self, name: str) -> bool:
        """Say whether the name is the apex or below it."""
        return name == self.name or is_below(name, self.name)

    def source(self, name: str) -> str | None:
        """Return the name whose records answer for one of the zone; None: there is no such name."""
        return self._names.source(name)

    def types(self, name: str) -> Collection[RdataType]:
        """Return the types that the name has records of."""
        apex = (RdataType.SOA, RdataType.NS) if name == self.name else ()
        return (*apex, *self._nodes.get(name, _NOTHING))

    def find(self, name: str, rdtype: RdataType) -> dns.rdataset.Rdataset | None:
        """Return the records that stand at the name, of this type."""
        if name == self.name and rdtype == RdataType.NS:
            return self._servers
        record = self._record(name, rdtype)
        return record.rdataset if record else None

    def rrset(self, name: str, type: RecordType) -> RRset | None:
        """Return the RRset in the interface's form."""
        record = self._record(name, wire_type(type))
        return record.rrset if record else None

    def rrsets(self, size: int) -> Iterator[Sequence[RRset]]:
        """Yield the whole zone, the SOA first, in parts of about `size` RRsets.

        The zone may change between the parts: what is there all the time is yielded once, the rest
        at most once.
        """
        nodes = list(self._nodes.values())
        part = [self._soa.rrset]
        for node in nodes:
            part += [record.rrset for record in node.values()]
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

        `take_serial` is called once if, and only if, anything is changed.
        """
        return self._check(update) or self._change(update.changes, take_serial)

    def _check(self, update: Update) -> Rcode | None:
        """Return why nothing may be changed: prerequisites first (§3.2), then the prescan (§3.4.1)."""
        for prerequisite in update.prerequisites:
            failure = self._failure(prerequisite)
            if failure is not None:
                return failure
        if not all(self.contains(change.name) for change in update.changes):
            return Rcode.NOTZONE
        if not all(change.type in WRITABLE for change in update.changes):
            return Rcode.REFUSED
        return None

    def _failure(self, prerequisite: Exists | Absent) -> Rcode | None:
        if not self.contains(prerequisite.name):
            return Rcode.NOTZONE
        rrset = self.rrset(prerequisite.name, prerequisite.type)
        if isinstance(prerequisite, Absent):
            return None if rrset is None else Rcode.YXRRSET
        held = rrset is not None and set(rrset.values) == set(prerequisite.values)
        return None if held else Rcode.NXRRSET

    def _change(self, changes: Sequence[Replace], take_serial: Callable[[], int]) -> Rcode:
        try:
            records = [encode(RRset(*change)) if change.values else None for change in changes]
        except InvalidRecordError:
            return Rcode.FORMERR
        changed = [
            self._put(record) if record else self._remove(change.name, wire_type(change.type))
            for change, record in zip(changes, records, strict=True)
        ]
        if any(changed):
            self.serial = take_serial()
        return Rcode.NOERROR

    def _record(self, name: str, rdtype: RdataType) -> ServedRRset | None:
        if rdtype == RdataType.SOA and name == self.name:
            return self._soa
        return self._nodes.get(name, _NOTHING).get(rdtype)

    def _put(self, record: ServedRRset) -> bool:
        """Replace the RRset; say whether that changed anything."""
        name, rdtype = record.rrset.name, wire_type(record.rrset.type)
        if name not in self._nodes:
            self._nodes[name] = {}
            self._names.add(name)
        changed = self._nodes[name].get(rdtype) != record
        self._nodes[name][rdtype] = record
        return changed

    def _remove(self, name: str, rdtype: RdataType) -> bool:
        """Remove the RRset; say whether there was one."""
        node = self._nodes.get(name)
        if node is None or node.pop(rdtype, None) is None:
            return False
        if not node:
            del self._nodes[name]
            self._names.remove(name)
        return True
