"""What the zones answer to a question (RFC 1034 §4.3.2, RFC 4592)."""

from collections.abc import Mapping
from typing import NamedTuple

import dns.name
import dns.rdataset
from dns.edns import EDECode
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS

from ddnsd.model.names import ancestors

from .zone import Zone

Zones = Mapping[str, Zone | None]  # by name; None is a zone of ours that is not loaded yet
Owned = tuple[dns.name.Name, dns.rdataset.Rdataset]  # an RRset and its owner, in the case it is sent in


class Answer(NamedTuple):
    """A response before it is rendered. `reason` is for the client's eyes only (RFC 8914)."""

    rcode: Rcode
    authoritative: bool = False
    answer: tuple[Owned, ...] = ()
    authority: tuple[Owned, ...] = ()
    additional: tuple[Owned, ...] = ()
    reason: EDECode | None = None


# A resolver goes on to another server of the zone after each of the two; only the second says that it
# need not come back.
NOT_LOADED = Answer(Rcode.SERVFAIL, reason=EDECode.NOT_READY)
NOT_OURS = Answer(Rcode.REFUSED, reason=EDECode.NOT_AUTHORITATIVE)


def answer(zones: Zones, qname: dns.name.Name, qtype: RdataType) -> Answer:
    """Answer a question of class IN, for data and for ANY, from the closest zone above the name."""
    name = _text(qname)
    origin = next((each for each in ancestors(name) if each in zones), None)
    if origin is None:
        return NOT_OURS
    zone = zones[origin]
    if zone is None:
        return NOT_LOADED
    source = zone.source(name)
    if source is None:
        return _negative(zone, Rcode.NXDOMAIN)
    found = zone.find(source, _any(zone, source) if qtype == RdataType.ANY else qtype)
    return _negative(zone, Rcode.NOERROR) if found is None else _positive(zone, qname, found)


def _text(qname: dns.name.Name) -> str:
    """Return the name as the zones write theirs; one that they cannot have stays different from all."""
    labels = (label.replace(b".", rb"\046") for label in qname.labels[:-1])
    return b".".join(labels).lower().decode("latin-1")


def _any(zone: Zone, name: str) -> RdataType:
    """Choose the one type that answers ANY (RFC 8482 §4.1)."""
    return next(iter(zone.types(name)), RdataType.ANY)


def _positive(zone: Zone, qname: dns.name.Name, found: dns.rdataset.Rdataset) -> Answer:
    glue = _glue(zone, found) if found.rdtype == RdataType.NS else ()
    return Answer(Rcode.NOERROR, authoritative=True, answer=((qname, found),), additional=glue)


def _glue(zone: Zone, servers: dns.rdataset.Rdataset) -> tuple[Owned, ...]:
    """Return the addresses of the name servers, as far as this very zone has them."""
    targets = [rdata.target for rdata in servers if isinstance(rdata, NS)]
    types = (RdataType.A, RdataType.AAAA)
    found = ((target, zone.find(_text(target), rdtype)) for target in targets for rdtype in types)
    return tuple((target, rdataset) for target, rdataset in found if rdataset is not None)


def _negative(zone: Zone, rcode: Rcode) -> Answer:
    """Say "no such name", or "not of this type" (NOERROR); the SOA says for how long (RFC 2308 §2)."""
    return Answer(rcode, authoritative=True, authority=((zone.origin, zone.denial),))
