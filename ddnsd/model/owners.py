"""The owner names of a host's RRsets in its zone, and at which of them what stands is ddnsd's own."""

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.records import Published, RecordKey

_CHALLENGE = "_acme-challenge."  # RFC 8555 §8.4
_WILDCARD = "*."  # RFC 4592


def owner(record: RecordKey) -> str:
    """Return the name at which the record's RRset stands."""
    return _CHALLENGE + record.name if record.type is Challenge.TXT else record.name


def wildcard_owner(record: RecordKey) -> str:
    """Return the name at which the same RRset stands for all names below the host."""
    return _WILDCARD + record.name


def record_at(name: str, type: str) -> RecordKey | None:
    """Return the record whose RRset stands at an owner name, None where no host can have one.

    Both owner names of a wildcard host lead to the one record.
    """
    if type == Challenge.TXT:
        host = name.removeprefix(_CHALLENGE)
        return RecordKey(host, Challenge.TXT) if host != name else None
    if type in Family.__members__:
        return RecordKey(name.removeprefix(_WILDCARD), Family(type))
    return None


def ours(record: RecordKey, published: Published | None, nameserver: str) -> frozenset[str]:
    """Return the owner names at which what stands at the nameserver is ddnsd's own.

    Whatever else is noted: one that drifted, is refused now, or moves with its zone is ddnsd's all the same.
    """
    if published is None or not published.ip:
        return frozenset()
    names = (owner(record), wildcard_owner(record)) if published.wildcard else (owner(record),)
    anothers = published.not_at.get(nameserver, ())
    return frozenset(names).difference(_being_taken(published), anothers)


def in_doubt(published: Published | None, nameserver: str) -> tuple[str, ...]:
    """Return the owner names that an UPDATE without an answer may have taken at the nameserver.

    If one did, they hold the values of `taking`, or those of `ip`.
    """
    if published is None or published.nameserver != nameserver:
        return ()
    return _being_taken(published)


def _being_taken(published: Published) -> tuple[str, ...]:
    taking = published.taking
    return taking.names if taking is not None and published.revision < taking.revision else ()


def challenge_name(host: str) -> str:
    """Return the name at which a certificate authority looks for the host's challenges."""
    return owner(RecordKey(host, Challenge.TXT))


def parse_type(text: str) -> RRType:
    """Return the record type of this name.

    Raises:
        ValueError: a host has no such records.
    """
    return Challenge.TXT if text == Challenge.TXT else Family(text)
