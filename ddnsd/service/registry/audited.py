"""The audit entry of a draft: who changed which resources, written with the change itself."""

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import structlog

from ddnsd.model.audit import AuditChange, AuditEntry, Author, What, differences, entry_of, joined
from ddnsd.model.records import Resource, Source
from ddnsd.model.resources import Kind, Spec
from ddnsd.service.registry.draft import Draft
from ddnsd.store import codec, keys

_log = structlog.get_logger(__name__)


class Noted(NamedTuple):
    """An entry and its key."""

    key: str
    entry: AuditEntry

    @property
    def value(self) -> bytes:
        """The stored form."""
        return codec.encode(self.entry)


class Auditor:
    """Makes the entries of what one author changes: one for each commit, or one for all of them."""

    def __init__(self, author: Author, *, as_one: bool = False, sources: bool = True) -> None:
        """`as_one`: all that it makes are one entry, which grows. `sources`: what they bind counts too."""
        self._author = author
        self._as_one = as_one
        self._sources = sources
        self._last: Noted | None = None

    @property
    def author(self) -> Author:
        """Whose changes they are."""
        return self._author

    def note(self, draft: Draft) -> Noted | None:
        """Return the entry to write with a draft; None if it changes nothing that counts."""
        changes = [*_changes(draft), *(_changes_of_sources(draft) if self._sources else ())]
        if not changes:
            return None
        entry = entry_of(self._author, draft.now, changes, sorted(draft.withdrawn))
        if self._as_one and self._last is not None:
            return Noted(self._last.key, joined(self._last.entry, entry))
        return Noted(keys.audit(_id(draft.now)), entry)

    def committed(self, noted: Noted) -> None:
        """Note that an entry was written."""
        self._last = noted
        if not self._as_one:
            self._tell()

    def close(self) -> None:
        """Tell what was written as one."""
        if self._as_one:
            self._tell()

    def _tell(self) -> None:
        if self._last is None:
            return
        entry = self._last.entry
        _log.info(
            "audit",
            by=entry.by,
            address=entry.address,
            way=entry.way,
            added=entry.created,
            changed=entry.changed,
            removed=entry.deleted,
            changes=[f"{change.title} {change.what}" for change in entry.changes],
            withdrawn=list(entry.withdrawn),
        )


def _id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}"


def _changes(draft: Draft) -> Iterator[AuditChange]:
    for kind in Kind:
        for name, old, new in draft.of_kind(kind).changes():
            yield _change(f"{kind} {name}", old, new)


def _change(title: str, old: Resource[Spec] | None, new: Resource[Spec] | None) -> AuditChange:
    if new is None:
        return AuditChange(title, What.DELETED)
    if old is None:
        return AuditChange(title, What.CREATED)
    fields = list(differences(old.spec, new.spec))
    if old.origin != new.origin:
        fields.append(f"managed by: {old.origin or 'the admin API'} → {new.origin or 'the admin API'}")
    if old.held != new.held:
        fields.append("held" if new.held else "held no longer")
    if old.mark != new.mark:
        fields.append("its deletion has begun" if new.mark else "its deletion was taken back")
    return AuditChange(title, What.CHANGED, tuple(fields))


def _changes_of_sources(draft: Draft) -> Iterator[AuditChange]:
    for name, old, new in draft.changes_of_sources():
        if new is None:
            yield AuditChange(f"Source {name}", What.DELETED)
        elif old is None:
            yield AuditChange(f"Source {name}", What.CREATED)
        else:
            yield AuditChange(f"Source {name}", What.CHANGED, tuple(_differences_of_sources(old, new)))


def _differences_of_sources(old: Source, new: Source) -> Iterator[str]:
    if old.uid != new.uid:
        yield f"Namespace uid: {old.uid} → {new.uid}"
    if old.pruned != new.pruned:
        yield "the deletions that it holds are allowed"
