"""One zone in memory: its contents, and what an UPDATE does to them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Self

import dns.name
import dns.rdataset
from dns.rdatatype import RdataType

from ddnsd.model.names import is_below
from ddnsd.nameserver.embedded.names import Names
from ddnsd.nameserver.embedded.rdata import (
    WRITABLE,
    InvalidRecordError,
    Record,
    encode,
    name_servers,
    negative,
    server_name,
    start_of_authority,
    wire_type,
)
from ddnsd.nameserver.embedded.settings import Authority
from ddnsd.nameserver.interface import Absent, Exists, Rcode, RecordType, Replace, RRset, Update

Node = dict[RdataType, Record]
_NOTHING: Mapping[RdataType, Record] = {}


class Zone:
    """A zone that is served. No method waits, so each is one step for everybody on the event loop.

    The SOA and NS records at the apex follow from the authority and the serial; nothing else is here
    that was not loaded or written by an UPDATE.
    """

    def __init__(self, name: str, authority: Authority, serial: int) -> None:
        self.name = name
        self.origin = dns.name.from_text(name)
        self._authority = authority
        self._nodes: dict[str, Node] = {}
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

    def _record(self, name: str, rdtype: RdataType) -> Record | None:
        if rdtype == RdataType.SOA and name == self.name:
            return self._soa
        return self._nodes.get(name, _NOTHING).get(rdtype)

    def _put(self, record: Record) -> bool:
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
