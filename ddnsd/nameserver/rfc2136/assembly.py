"""The records of a zone transfer (RFC 5936), between the two SOAs, as RRsets. Pure."""

from collections.abc import Sequence

from ddnsd.nameserver.interface import RecordType, RRset
from ddnsd.nameserver.rfc2136.rdata import TYPES, decode
from ddnsd.nameserver.rfc2136.reader import MalformedError, Message, Record

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
            MalformedError: they are none of a transfer of this zone.
        """
        completed: list[RRset] = []
        for record in records:
            if self.is_complete:
                raise MalformedError("a transfer goes on after its end")
            if record.name != self._name:
                completed += self._take()
                self._name = record.name
            kind = TYPES.get(record.type)
            if kind is _SOA or not self._began:
                completed += self._border(record)
            if kind is not None and not self.is_complete:
                self._ttls.setdefault(kind, record.ttl)
                self._values.setdefault(kind, []).append(decode(message.wire, record))
        return completed

    def _border(self, record: Record) -> list[RRset]:
        """Begin with the zone's SOA, and end with it."""
        if TYPES.get(record.type) is not _SOA or record.name != self._zone:
            raise MalformedError("a transfer does not begin and end with the zone's SOA")
        self.is_complete, self._began = self._began, True
        return self._take() if self.is_complete else []

    def _take(self) -> list[RRset]:
        """Return the RRsets of the name that is over."""
        if not self._values:
            return []
        rrsets = [
            RRset(self._name, kind, self._ttls[kind], tuple(sorted(values)))
            for kind, values in self._values.items()
        ]
        self._ttls, self._values = {}, {}
        return rrsets
