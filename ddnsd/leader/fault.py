"""A zone that takes no UPDATE: what the nameserver answers, and what to do about it."""

from collections.abc import Mapping

from ddnsd.nameserver.interface import Rcode

_KEY = "let ddnsd's key update the zone there (docs/nameservers.md)"
_REMEDIES: Mapping[Rcode, str] = {  # BIND's meanings (RFC 2136 §3.1, RFC 8945 §5.2); PowerDNS has one for all
    Rcode.REFUSED: _KEY,
    Rcode.NOTAUTH: "does the nameserver have the zone, as its primary, and the same key as ddnsd?",
    Rcode.NOTIMP: f"turn dynamic update on, and {_KEY}",
    Rcode.SERVFAIL: "the nameserver's log says why: is the zone loaded, may the nameserver write its file?",
}


class ZoneFaultError(Exception):
    """The zone takes no UPDATE at all (loading, not authoritative, key refused): no record is to blame."""

    def __init__(self, rcode: Rcode, what: str) -> None:
        """`what` says to which UPDATE `rcode` was the answer."""
        remedy = _REMEDIES.get(rcode, "the nameserver's log says why")
        super().__init__(f"{rcode} to {what}; {remedy}")
