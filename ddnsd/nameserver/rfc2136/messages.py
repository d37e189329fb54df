"""What the interface says, as DNS messages, and what the answers say, as the interface has it. Pure."""

from collections.abc import Iterator

from ddnsd.model.names import is_below
from ddnsd.nameserver.interface import Absent, Exists, Hidden, Rcode, RecordType, Replace, RRset, Update
from ddnsd.nameserver.rfc2136.rdata import CODES, decode, encode
from ddnsd.nameserver.rfc2136.reader import MalformedError, Message
from ddnsd.nameserver.rfc2136.wire import NO_RDATA, Class, Header, pack_name_below, pack_question, pack_record

_QUERY, _UPDATE = 0 << 11, 5 << 11  # OPCODE (RFC 2136 §1.3); RD is 0: we ask the one who knows
_AXFR = 252
_NS, _CNAME, _SOA, _DNAME = 2, 5, 6, 39
_RCODES = {
    0: Rcode.NOERROR,
    1: Rcode.FORMERR,
    2: Rcode.SERVFAIL,
    3: Rcode.NXDOMAIN,
    4: Rcode.NOTIMP,
    5: Rcode.REFUSED,
    6: Rcode.YXDOMAIN,
    7: Rcode.YXRRSET,
    8: Rcode.NXRRSET,
    9: Rcode.NOTAUTH,
    10: Rcode.NOTZONE,
}


def update_message(id: int, update: Update) -> bytes:
    """Return an UPDATE (RFC 2136 §2).

    To replace an RRset is to delete it and to add the new records in the same message: a nameserver
    applies all of it in one step, so that the name never stops resolving.

    Raises:
        ValueError: a name or a value that no record can have.
    """
    prerequisites = [record for each in update.prerequisites for record in _prerequisite(update.zone, each)]
    changes = [record for change in update.changes for record in _change(update.zone, change)]
    header = Header(id, _UPDATE, answers=len(prerequisites), authorities=len(changes))
    zone = pack_question(update.zone, CODES[RecordType.SOA])
    return b"".join((header.pack(), zone, *prerequisites, *changes))


def _prerequisite(zone: str, prerequisite: Exists | Absent) -> Iterator[bytes]:
    owner, code = pack_name_below(zone, prerequisite.name), CODES[prerequisite.type]
    if isinstance(prerequisite, Absent):
        yield pack_record(owner, code, Class.NONE, 0, NO_RDATA)
        return
    for value in prerequisite.values:
        yield pack_record(owner, code, Class.IN, 0, encode(prerequisite.type, value))


def _change(zone: str, change: Replace) -> Iterator[bytes]:
    owner, code = pack_name_below(zone, change.name), CODES[change.type]
    yield pack_record(owner, code, Class.ANY, 0, NO_RDATA)
    for value in change.values:
        yield pack_record(owner, code, Class.IN, change.ttl, encode(change.type, value))


def query_message(id: int, name: str, type: RecordType) -> bytes:
    """Return a query for one RRset."""
    return Header(id, _QUERY).pack() + pack_question(name, CODES[type])


def transfer_message(id: int, zone: str) -> bytes:
    """Return the query for a whole zone (RFC 5936 §2.1)."""
    return Header(id, _QUERY).pack() + pack_question(zone, _AXFR)


def check_answers(message: Message, request: bytes) -> None:
    """Refuse what is not the answer to the request.

    Raises:
        MalformedError: it is not.
    """
    asked = Header(int.from_bytes(request[:2]), int.from_bytes(request[2:4]))
    answered = message.header
    if not answered.is_response or (answered.id, answered.opcode) != (asked.id, asked.opcode):
        raise MalformedError("not an answer to what was asked")


def rcode(message: Message) -> Rcode:
    """Return the answer's code."""
    return _RCODES.get(message.header.rcode, Rcode.OTHER)


def answered_rrset(message: Message, zone: str, name: str, type: RecordType) -> RRset | None:
    """Return the RRset that an answer to `query_message` holds, or None for none.

    None too if the answer is not authoritative, is another name's (an alias), or shows itself to be
    that of a zone below. A nameserver that holds such a zone too and leaves its name out of a positive
    answer (Knot, PowerDNS) cannot be told apart from here.

    Raises:
        MalformedError: records that no record of this type can have.
    """
    code = CODES[type]
    found = [record for record in message.answers if record.type == code and record.name == name]
    if not found or not message.header.is_authoritative or _is_from_another_zone(message, zone):
        return None
    values = sorted({decode(message.wire, record) for record in found})
    return RRset(name, type, found[0].ttl, tuple(values))


def hidden(message: Message, zone: str, name: str) -> Hidden | None:
    """Return what an answer without the RRset shows in its place: an alias, or a delegation."""
    for record in message.answers:
        if record.type == _CNAME and record.name == name:
            dnames = (
                each.name for each in message.answers if each.type == _DNAME and is_below(name, each.name)
            )
            above = next(dnames, None)
            return Hidden(above, "DNAME") if above else Hidden(name, "CNAME")
    for record in message.authorities:
        if record.type in (_NS, _SOA) and is_below(record.name, zone):
            return Hidden(record.name, "NS")
    return None


def _is_from_another_zone(message: Message, zone: str) -> bool:
    return any(record.type == _NS and record.name != zone for record in message.authorities)
