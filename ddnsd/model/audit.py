"""Who changed which resources: one entry for each commit of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from ddnsd.model.records import Stored

MOST_CHANGES = 20
"""Titles that an entry names; the others are counted."""

SECRETS = frozenset({"sha256"})
"""Fields of specs whose values no entry shows."""

_SHOWN = 60  # characters of a value


class Author(NamedTuple):
    """Who changes resources: an admin token's name, or `kubernetes/<source>`; from where; by which way in."""

    name: str
    address: str = ""  # of the client; "" where there is none
    way: str = ""  # such as apply, put, delete, import


class What(StrEnum):
    """What became of a resource."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class AuditChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One resource, by its title such as "Host a.example.com"; `fields` say what of it was changed."""

    title: str
    what: What
    fields: tuple[str, ...] = ()


class AuditEntry(Stored, frozen=True):
    """`audit/<time>-<id>`: what one commit did to resources. Written with it, blindly: no key is shared.

    `changes` are the first of them, `withdrawn` all hosts whose addresses it takes away.
    """

    at: datetime
    by: str
    address: str
    way: str
    created: int = 0
    changed: int = 0
    deleted: int = 0
    changes: tuple[AuditChange, ...] = ()
    withdrawn: tuple[str, ...] = ()

    def concerns(self, host: str) -> bool:
        """Say whether the entry names a host."""
        title = f"Host {host}"
        return host in self.withdrawn or any(change.title == title for change in self.changes)


class AuditItem(msgspec.Struct, frozen=True):
    """What one commit did to resources, the newest first.

    `by` is an admin token's name, or `kubernetes/<source>`; `address` the client's; `way` how it came in.
    `changes` are the first 20; `withdrawn` are all hosts whose addresses it took away.
    """

    id: str
    at: datetime
    by: str
    address: str
    way: str
    created: int
    changed: int
    deleted: int
    changes: tuple[AuditChange, ...]
    withdrawn: tuple[str, ...]


def entry_of(
    author: Author, at: datetime, changes: Sequence[AuditChange], withdrawn: Sequence[str]
) -> AuditEntry:
    """Return the entry of a commit that makes these changes."""
    counts = Counter(change.what for change in changes)
    return AuditEntry(
        at,
        author.name,
        author.address,
        author.way,
        counts[What.CREATED],
        counts[What.CHANGED],
        counts[What.DELETED],
        changes=tuple(changes[:MOST_CHANGES]),
        withdrawn=tuple(withdrawn),
    )


def joined(earlier: AuditEntry, later: AuditEntry) -> AuditEntry:
    """Return one entry for both, of the earlier one's time and author."""
    return msgspec.structs.replace(
        earlier,
        created=earlier.created + later.created,
        changed=earlier.changed + later.changed,
        deleted=earlier.deleted + later.deleted,
        changes=(*earlier.changes, *later.changes)[:MOST_CHANGES],
        withdrawn=(*earlier.withdrawn, *later.withdrawn),
    )


def differences(old: msgspec.Struct, new: msgspec.Struct) -> Iterator[str]:
    """Yield what differs between two specs of one kind, a field each; of a secret only that it does."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    for name in {**before, **after}:
        one, two = before.get(name), after.get(name)
        if one != two:
            yield name if name in SECRETS else f"{name}: {_shown(one)} → {_shown(two)}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
