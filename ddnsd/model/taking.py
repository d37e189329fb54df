"""Whose a name is before ddnsd writes there for the first time, and what is noted of that. Pure.

What was there before is not taken (decision 34). `leader.push` asks, this says what follows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from ddnsd.model.names import in_doubt, ours, owner, wildcard_owner
from ddnsd.model.publication import Push, united, without_empty
from ddnsd.model.records import NAME_IN_USE, Published, PublishError, RecordKey, Taking


class Whose(Enum):
    """What exists at an owner name, of one record's type."""

    NOBODYS = auto()  # nothing
    OURS = auto()  # what an UPDATE without an answer was to write
    ANOTHERS = auto()
    BESIDE = auto()  # nothing, but what exists at the host's own name is somebody else's (`Push.wards`)


class Finding(NamedTuple):
    """Whose the names of a push are. `refusal`: why the nameserver does not say, "" where it does."""

    push: Push
    names: Mapping[str, Whose]
    refusal: str = ""

    @property
    def adopted(self) -> Sequence[str]:
        """The names that are taken with the zone's consent, though something exists there."""
        if not self.push.want.adopt:
            return ()
        return [name for name in self.push.takes if self.names.get(name) is Whose.ANOTHERS]

    @property
    def in_use(self) -> Sequence[str]:
        """The names because of which the push cannot be made."""
        strange = (Whose.ANOTHERS, Whose.BESIDE)
        names = [name for name in self.push.takes if self.names.get(name) in strange]
        return sorted(name for name in names if name not in self.adopted)


def noted(finding: Finding, now: datetime, elsewhere: Collection[str]) -> Published:
    """Return what is to be written down before the push is planned again.

    `elsewhere` are the other nameservers at which the zone is, or may be, published.
    """
    push, here = finding.push, finding.push.want.placement.nameserver
    before = push.before or Published(0, "", push.want.ttl, here)
    had = ours(push.want.record, before, here)
    held = had | {name for name, whose in finding.names.items() if whose is Whose.OURS}
    taken = () if finding.in_use else tuple(sorted(push.takes - held))
    ip = before.ip if had or _is_ours_at(push, before, elsewhere) else _noted_content(push) if held else ""
    star = wildcard_owner(push.want.record)
    starred = star in held or star in taken or (before.wildcard and _is_ours_at(push, before, elsewhere))
    return Published(
        0 if taken else before.revision,
        ip,
        before.ttl,
        here,
        before.at,
        _error(finding, before, now),
        starred,
        Taking(taken, push.want.values, push.want.revision) if taken else None,
        united(held.intersection(before.adopted), finding.adopted),
        _not_at(push, before, taken, held, elsewhere) if ip or elsewhere else {},
    )


def was_written_before(push: Push) -> bool:
    """Say whether an earlier version has written the push's values, and noted only that they were not served.

    It asked nothing before, and read them too early (BIND with `inline-signing`; decision 35).
    """
    noted, want = push.before, push.want
    if noted is None or noted.ip or noted.taking is not None or noted.error is None:
        return False
    error = noted.error
    is_of_it = error.revision in (0, want.revision) and error.nameserver == want.placement.nameserver
    return error.is_unserved and is_of_it


def unknown(published: Published) -> Published:
    """Return it with what is served no longer known. A taking that was done counts no more."""
    taking = published.taking
    done = taking is not None and published.revision >= taking.revision
    return msgspec.structs.replace(published, revision=0, taking=None if done else taking)


def without(published: Published, name: str) -> Published:
    """Return it with nothing taken, or ddnsd's own, at a `*.<host>`."""
    taking = published.taking
    if taking is not None:
        names = tuple(each for each in taking.names if each != name)
        taking = msgspec.structs.replace(taking, names=names) if names else None
    return msgspec.structs.replace(published, wildcard=False, taking=taking)


def taken_over(
    record: RecordKey, before: Published | None, found: Mapping[str, Sequence[str]], ttl: int, here: str
) -> Published:
    """Return what is noted where an operator gives ddnsd what exists at these owner names: values by name."""
    held = ours(record, before, here).union(found)
    values = found.get(owner(record)) or next(iter(found.values()))
    not_at = dict(before.not_at) if before else {}
    not_at[here] = tuple(name for name in not_at.get(here, ()) if name not in held)
    if owner(record) not in held:
        not_at[here] = united(not_at[here], (owner(record),))
    error = before.error if before else None
    return Published(
        0,
        (before.ip if before else "") or " ".join(values),
        ttl,
        here,
        before.at if before else None,
        None if error is None or error.is_name_in_use else error,
        wildcard_owner(record) in held,
        adopted=before.adopted if before else (),
        not_at=without_empty(not_at),
    )


def name_in_use(what: str, zone: str) -> str:
    """Return why a push cannot be made, for people: `what` stands there; with the remedy."""
    consent = f"spec.adopt: true in Zone {zone}, or `ddnsd zone takeover {zone}`"
    return (
        f"{NAME_IN_USE}: {what} stands in the zone and is not ddnsd's; "
        f"remove it there, or let ddnsd take it: {consent}"
    )


def is_only_wildcard_in_use(record: RecordKey, message: str) -> bool:
    """Say whether the message of a `PublishError` is that of a `*.<host>` alone: the host's name is free."""
    return message.startswith(f"{NAME_IN_USE}: {wildcard_owner(record)} ")


def _what(finding: Finding) -> str:
    want, names = finding.push.want, finding.in_use
    if all(finding.names[name] is Whose.BESIDE for name in names):
        return f"another record of {want.record.name} (A, AAAA or CNAME)"
    return f"{', '.join(names)} {want.record.type}"


def _error(finding: Finding, before: Published, now: datetime) -> PublishError | None:
    want = finding.push.want
    if finding.in_use:
        message = name_in_use(_what(finding), want.placement.zone)
        return PublishError(want.revision, message, now, want.placement.nameserver)
    return None if before.error is None or before.error.is_name_in_use else before.error


def _noted_content(push: Push) -> str:
    """Return what exists at a name that turned out to be ddnsd's own."""
    before = push.before
    if before is None or was_written_before(push):
        return push.want.ip
    return before.ip or (" ".join(before.taking.values) if before.taking else "")


def _is_ours_at(push: Push, before: Published, nameservers: Iterable[str]) -> bool:
    return any(ours(push.want.record, before, each) for each in nameservers)


def _not_at(
    push: Push, before: Published, taken: Sequence[str], held: frozenset[str], elsewhere: Collection[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return where which names are not ddnsd's own: what it takes here, it has not there."""
    not_at, here = dict(before.not_at), push.want.placement.nameserver
    for each in elsewhere:
        had = {*ours(push.want.record, before, each), *in_doubt(before, each)}
        not_at[each] = united(not_at.get(each, ()), set(taken) - had)
    names = {owner(push.want.record), *push.want.owners}
    strange = names.difference(held, taken)
    own = held.union(taken)
    not_at[here] = united((name for name in not_at.get(here, ()) if name not in own), strange)
    return without_empty(not_at)
