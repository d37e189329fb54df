"""What the publisher asks of a nameserver, whichever it is.

An adapter only executes: it says what the nameserver answered, or that there was no answer, and
whether the message may have been applied. What follows from that is the publisher's business.

Names are canonical texts (`model.names`), also those that only we write: with an underscore (the
fence, ACME challenges) or a first label `*` (RFC 4592). Values are rdata in presentation format
(RFC 1035 §5.1), canonical per type: an address as `model.addresses` writes it, a TXT as its one
unquoted string.
"""

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable


class RecordType(StrEnum):
    """The record types that ddnsd reads or writes."""

    A = "A"
    AAAA = "AAAA"
    TXT = "TXT"
    SOA = "SOA"
    CNAME = "CNAME"


class RRset(NamedTuple):
    """All records of one name and type. `ttl` in seconds; `values` sorted, never empty."""

    name: str
    type: RecordType
    ttl: int
    values: tuple[str, ...]


class Hidden(NamedTuple):
    """Why a name cannot have records of its own: what the answer to a query shows in their place.

    `type` is CNAME or DNAME, an alias at `owner` (or of a wildcard, which an answer does not tell); or NS, a
    delegation of `owner` to a zone of its own.
    """

    owner: str
    type: str


class Replace(NamedTuple):
    """Make the RRset exactly this, in one step; with no values: remove it (RFC 2136 §2.5.2)."""

    name: str
    type: RecordType
    ttl: int
    values: tuple[str, ...]


class Exists(NamedTuple):
    """Prerequisite: the RRset has exactly these values (RFC 2136 §2.4.2, value dependent)."""

    name: str
    type: RecordType
    values: tuple[str, ...]


class Absent(NamedTuple):
    """Prerequisite: the RRset does not exist (RFC 2136 §2.4.3)."""

    name: str
    type: RecordType


class Update(NamedTuple):
    """One atomic UPDATE message: all prerequisites hold and all changes are made, or nothing is."""

    zone: str
    prerequisites: tuple[Exists | Absent, ...]
    changes: tuple[Replace, ...]


class Rcode(StrEnum):
    """The nameserver's answer (RFC 2136 §2.2, RFC 8945 §5)."""

    NOERROR = "NOERROR"
    FORMERR = "FORMERR"
    SERVFAIL = "SERVFAIL"
    NXDOMAIN = "NXDOMAIN"
    NOTIMP = "NOTIMP"
    REFUSED = "REFUSED"
    YXDOMAIN = "YXDOMAIN"
    YXRRSET = "YXRRSET"
    NXRRSET = "NXRRSET"
    NOTAUTH = "NOTAUTH"
    NOTZONE = "NOTZONE"
    OTHER = "OTHER"


class NameserverError(Exception):
    """No usable answer. The message names the nameserver and the reason, never a key.

    NameserverError
    ├── UnreachableError    nothing was sent, so nothing was applied
    ├── NoAnswerError       sent, no answer: it may have been applied, or may be applied later
    └── QueryRefusedError   answered, but not with what was asked (a query or transfer refused)
    """


class UnreachableError(NameserverError):
    """No connection: certainly nothing was applied."""


class NoAnswerError(NameserverError):
    """The message was sent and no valid answer came: its outcome is unknown, now and later."""


class QueryRefusedError(NameserverError):
    """A query or a transfer was answered with an error code."""


class Nameserver(Protocol):
    """One nameserver that holds zones for ddnsd. Safe for concurrent use by the lanes of its zones.

    A call bounds its own time (settings of the adapter) and raises `NameserverError`; after
    `NoAnswerError` the connection it used is closed.
    """

    @property
    def max_transfers(self) -> int:
        """How many zone transfers it takes at once."""
        ...

    async def update(self, update: Update) -> Rcode:
        """Send one UPDATE and return the answer's code, whatever it is."""
        ...

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        """Return the RRset as this nameserver serves it now, or None where there is none.

        The answer is authoritative and comes from `zone` itself: a referral or an alias hides it.
        What was written just now may not be served yet: a nameserver may sign it first (RFC 4035 §2).
        Where the name has nothing, but a wildcard covers it, it is the wildcard's: nothing tells that
        from the name's own, except a prerequisite, to which wildcards do not count (RFC 2136 §3.2).
        Asking for the SOA of the zone is the probe of a silent nameserver.
        """
        ...

    def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        """Yield the whole zone (AXFR, RFC 5936) in parts, a turn of the event loop between any two.

        Types that `RecordType` lacks are left out.
        """
        ...

    async def leave(self, zone: str) -> None:
        """Forget the zone: the last record and the fence have left it, or it never was published."""
        ...

    async def close(self) -> None:
        """Close the connections; idempotent."""
        ...


@runtime_checkable
class LoadedNameserver(Nameserver, Protocol):
    """A nameserver that keeps nothing of its own: it serves what it is given."""

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        """Serve the zone: once per time of leading, and before anything else on it.

        `contents` is what the store wants served.
        """
        ...
