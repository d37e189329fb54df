"""What the zones answer to a question (RFC 1034 §4.3.2, RFC 4592)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import dns.name
import dns.rdataset
from dns.edns import EDECode
from dns.rcode import Rcode
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from ddnsd.model.names import ancestors
from ddnsd.nameserver.embedded.zone import Zone

Zones = Mapping[str, Zone | None]  # by name; None is a zone of ours that is not loaded yet
Owned = tuple[dns.name.Name, dns.rdataset.Rdataset]  # an RRset and its owner, in the case it is sent in


class Answer(NamedTuple):
    """A response before it is rendered.

    `reason` is for the client's eyes only (RFC 8914). `subject` is the owner name of the data, or of what
    says that there are none: the same for all names that one wildcard answers, or that do not exist in one
    zone.
    """

    rcode: Rcode
    authoritative: bool = False
    answer: tuple[Owned, ...] = ()
    authority: tuple[Owned, ...] = ()
    additional: tuple[Owned, ...] = ()
    reason: EDECode | None = None
    subject: str = ""


class View(NamedTuple):
    """What one client sees beside the zones' records.

    `addresses` are this nameserver's own, for a zone whose name server is a name in it that no record
    stands at. `hidden` returns the one name in a zone that clients do not see, "" if there is none.
    """

    addresses: tuple[str, ...] = ()
    hidden: Callable[[str], str] = lambda _zone: ""


EVERYTHING = View()
_OWN_TTL = 300  # seconds; a machine at home may have another address tomorrow


# A resolver goes on to another server of the zone after each of the two; only the second says that it
# need not come back.
NOT_LOADED = Answer(Rcode.SERVFAIL, reason=EDECode.NOT_READY)
NOT_OURS = Answer(Rcode.REFUSED, reason=EDECode.NOT_AUTHORITATIVE)


def answer(zones: Zones, qname: dns.name.Name, qtype: RdataType, view: View = EVERYTHING) -> Answer:
    """Answer a question of class IN, for data and for ANY, from the closest zone above the name."""
    name = _text(qname)
    origin = next((each for each in ancestors(name) if each in zones), None)
    if origin is None:
        return NOT_OURS
    zone = zones[origin]
    if zone is None:
        return NOT_LOADED
    source = zone.source(name)
    if _is_own(zone, name):
        found = _own(view.addresses, qtype)
    elif source is None or name == view.hidden(origin):
        return _negative(zone, Rcode.NXDOMAIN)
    else:
        found = zone.find(source, _any(zone, source) if qtype == RdataType.ANY else qtype)
    if found is None:
        return _negative(zone, Rcode.NOERROR)
    return _positive(zone, qname, found, view)._replace(subject=source or name)


def _is_own(zone: Zone, name: str) -> bool:
    """Say whether a name is this nameserver's own in a zone that has no records of it."""
    return bool(zone.server) and name == zone.server and not zone.types(name)


def _own(addresses: tuple[str, ...], qtype: RdataType) -> dns.rdataset.Rdataset | None:
    if qtype == RdataType.ANY:
        return _own(addresses, RdataType.A) or _own(addresses, RdataType.AAAA)
    return _own_records(addresses, qtype) if qtype in (RdataType.A, RdataType.AAAA) else None


@lru_cache(maxsize=256)
def _own_records(addresses: tuple[str, ...], rdtype: RdataType) -> dns.rdataset.Rdataset | None:
    make = AAAA if rdtype == RdataType.AAAA else A
    fitting = [address for address in addresses if (":" in address) is (rdtype == RdataType.AAAA)]
    rdatas = [make(IN, rdtype, address) for address in fitting]
    return dns.rdataset.from_rdata_list(_OWN_TTL, rdatas) if rdatas else None


def _text(qname: dns.name.Name) -> str:
    """Return the name as the zones write theirs; one that they cannot have stays different from all."""
    labels = (label.replace(b".", rb"\046") for label in qname.labels[:-1])
    return b".".join(labels).lower().decode("latin-1")


def _any(zone: Zone, name: str) -> RdataType:
    """Choose the one type that answers ANY (RFC 8482 §4.1)."""
    return next(iter(zone.types(name)), RdataType.ANY)


def _positive(zone: Zone, qname: dns.name.Name, found: dns.rdataset.Rdataset, view: View) -> Answer:
    glue: tuple[Owned, ...] = ()
    if found.rdtype == RdataType.NS:
        glue = _glue(zone, found, view)
        if not glue and _is_own(zone, zone.server):
            # A resolver would take a name without an address for the zone's only name server: SERVFAIL.
            # Without it, it goes on with the delegation that it came by, whose names do have addresses.
            return _negative(zone, Rcode.NOERROR)
    return Answer(Rcode.NOERROR, authoritative=True, answer=((qname, found),), additional=glue)


def _glue(zone: Zone, servers: dns.rdataset.Rdataset, view: View) -> tuple[Owned, ...]:
    """Return the addresses of the name servers, as far as this very zone has them."""
    targets = [rdata.target for rdata in servers if isinstance(rdata, NS)]
    types = (RdataType.A, RdataType.AAAA)
    found = ((target, _address(zone, _text(target), rdtype, view)) for target in targets for rdtype in types)
    return tuple((target, rdataset) for target, rdataset in found if rdataset is not None)


def _address(zone: Zone, name: str, rdtype: RdataType, view: View) -> dns.rdataset.Rdataset | None:
    return _own(view.addresses, rdtype) if _is_own(zone, name) else zone.find(name, rdtype)


def _negative(zone: Zone, rcode: Rcode) -> Answer:
    """Say "no such name", or "not of this type" (NOERROR); the SOA says for how long (RFC 2308 §2)."""
    return Answer(rcode, authoritative=True, authority=((zone.origin, zone.denial),), subject=zone.name)
