"""Records on the wire: from the interface's presentation texts to dnspython's rdata."""

from collections.abc import Callable
from dataclasses import dataclass, field

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

from ddnsd.nameserver.embedded.settings import Authority
from ddnsd.nameserver.interface import RecordType, RRset

MAX_TTL = 2**31 - 1  # RFC 2181 §8
MAX_TXT = 4096  # octets of one TXT record; far more than any record of ours, far less than a message
_STRING = 255  # octets of one character-string (RFC 1035 §3.3)


class InvalidRecordError(ValueError):
    """The values are none that records of their type can have."""


@dataclass(frozen=True, slots=True)
class Record:
    """An RRset as the publisher wrote it, and ready to be rendered. Records of the same text are equal."""

    rrset: RRset
    rdataset: dns.rdataset.Rdataset = field(compare=False, repr=False)


def wire_type(record_type: RecordType) -> RdataType:
    """Return the number of a record type."""
    return RdataType[record_type.value]


def encode(rrset: RRset) -> Record:
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
    return Record(rrset._replace(values=values), dns.rdataset.from_rdata_list(rrset.ttl, rdatas))


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


def start_of_authority(zone: str, authority: Authority, serial: int) -> Record:
    """Return the zone's SOA."""
    timers = (serial, authority.refresh, authority.retry, authority.expire, authority.minimum)
    rdata = SOA(IN, RdataType.SOA, _server_name(zone, authority), _mailbox(zone, authority), *timers)
    rrset = RRset(zone, RecordType.SOA, authority.ttl, (rdata.to_text(),))
    return Record(rrset, dns.rdataset.from_rdata(authority.ttl, rdata))


def negative(soa: Record) -> dns.rdataset.Rdataset:
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
