"""Many documents in one call, or a whole archive: all are checked first, then applied in few commits.

An import goes on where an earlier run broke off. It replaces nothing: what exists was put there by that run,
and an address that a client has changed since the export stays as the client wants it.
"""

import contextlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from ddnsd.aio import Slice
from ddnsd.config.reader import Problem
from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey, Resource
from ddnsd.model.resources import Kind, TokenSpec, is_previous
from ddnsd.model.special_addresses import is_reachable, is_usable
from ddnsd.service.archive import Archive, ArchivedAddress, Counts, Item
from ddnsd.service.documents import Document, InvalidDocumentError, ProblemList, read_document, title_of
from ddnsd.service.registry import rules
from ddnsd.service.registry.results import (
    Applied,
    ApplyResult,
    PartlyAppliedError,
    PartlyRestoredError,
    RefusedError,
    RegistryError,
    Restored,
    Result,
)
from ddnsd.service.registry.transaction import Auditor, RegistryCommits, RegistryTransaction

MAX_ATOMIC = 100  # documents
_CHUNK = 1000  # documents looked at in one turn; most of them unchanged, or it ends sooner
_SHARE = 0.5  # of the event loop, for reading: somebody waits for it
_ORDER = (Kind.ZONE, Kind.ACCOUNT, Kind.HOST, Kind.TOKEN)  # what is referred to comes first


class _Numbered(NamedTuple):
    """A document and its place in the call, from 1."""

    place: int
    document: Document


class _Came(NamedTuple):
    """What came of a document, and what its writer should know all the same."""

    written: rules.Written
    warning: str


class _Done(NamedTuple):
    """What came of some documents, and which hosts they took an address from."""

    written: list[_Came]
    withdrawn: set[str]

    @property
    def told(self) -> tuple[str, ...]:
        """The hosts, in order."""
        return tuple(sorted(self.withdrawn))


class _TooLargeError(Exception):
    """One commit cannot hold the documents and the addresses that they withdraw."""


async def read_documents(raws: Sequence[object]) -> list[_Numbered]:
    """Read all documents, in the order in which they are to be applied.

    Raises:
        InvalidDocumentError: with the problems of all of them.
    """
    documents: dict[tuple[Kind, str], _Numbered] = {}
    problems: list[Problem] = []
    slice = Slice(share=_SHARE)
    for place, raw in enumerate(raws, 1):
        await slice.pause()
        try:
            document = read_document(raw)
        except InvalidDocumentError as error:
            problems += [problem.of(place, title_of(raw)) for problem in error.problems]
            continue
        first = documents.setdefault((document.kind, document.name), _Numbered(place, document))
        if first.place != place:
            message = f"the same as document {first.place}: keep one"
            problems.append(Problem("metadata.name", message, place, document.title, first.place))
    if problems:
        raise InvalidDocumentError(*problems)
    return sorted(documents.values(), key=lambda numbered: _ORDER.index(numbered.document.kind))


async def apply(
    turns: RegistryCommits, documents: Sequence[_Numbered], nameservers: Collection[str]
) -> Applied:
    """Apply the documents: in one commit if they are few, else in several.

    Raises:
        InvalidDocumentError, RefusedError: nothing was applied; with the problems of all documents.
        StoreFailedError: as of `RegistryCommits.take`.
        PartlyAppliedError: it ended early.
    """
    if len(documents) <= MAX_ATOMIC:
        with contextlib.suppress(_TooLargeError):
            done, _ = await turns.take(partial(_put_all, documents=documents, nameservers=nameservers))
            return Applied(True, _results(documents, done.written), done.told)
    else:
        _check(await turns.read(), documents, nameservers)
    return await _apply_in_chunks(turns, documents, nameservers)


def _check(
    draft: RegistryTransaction,
    documents: Sequence[_Numbered],
    nameservers: Collection[str],
    *,
    together: bool = False,
) -> list[_Came]:
    """Put all documents into the draft, whatever its size; raise with all their problems.

    `together`: one commit holds all of them, or none is done.
    """
    others = rules.secrets_after(document for _, document in documents) if together else {}
    done: list[_Came] = []
    invalid: list[Problem] = []
    refused: list[Problem] = []
    count = 0
    for place, document in documents:
        try:
            written = rules.put(draft, document, nameservers, others)
            done.append(_Came(written, draft.warning(document.name) if document.kind is Kind.HOST else ""))
        except InvalidDocumentError as error:
            invalid += [problem.of(place, document.title) for problem in error.problems]
        except RefusedError as error:
            refused.append(Problem("", str(error), place, document.title))
            count += error.count
    if invalid:
        raise InvalidDocumentError(*sorted(invalid + refused, key=lambda problem: problem.document))
    if refused:
        message = "; ".join(map(str, refused))
        raise RefusedError(message, count=count, problems=tuple(refused))
    return done


def _put_all(
    draft: RegistryTransaction, documents: Sequence[_Numbered], nameservers: Collection[str]
) -> _Done:
    done = _check(draft, documents, nameservers, together=True)
    if not draft.fits():
        raise _TooLargeError
    return _Done(done, draft.withdrawn)


async def _apply_in_chunks(
    turns: RegistryCommits, documents: Sequence[_Numbered], nameservers: Collection[str]
) -> Applied:
    done = _Done([], set())
    while len(done.written) < len(documents):
        rest = documents[len(done.written) : len(done.written) + _CHUNK]
        try:
            more, _ = await turns.take(partial(_fill, documents=rest, nameservers=nameservers))
        except (RegistryError, InvalidDocumentError) as error:
            if not done.written:
                raise
            applied = Applied(False, _results(documents, done.written), done.told)
            raise PartlyAppliedError(applied, error) from error
        done = _Done(done.written + more.written, done.withdrawn | more.withdrawn)
    return Applied(False, _results(documents, done.written), done.told)


def _fill(draft: RegistryTransaction, documents: Sequence[_Numbered], nameservers: Collection[str]) -> _Done:
    """Put as many documents into the draft as surely fit; return what came of these."""
    done: list[_Came] = []
    for numbered in documents:
        if not draft.fits(rules.PUT_COST + draft.given(numbered.document.name)):
            break
        done += _check(draft, [numbered], nameservers)
    return _Done(done, draft.withdrawn)


def _results(documents: Sequence[_Numbered], done: Sequence[_Came]) -> tuple[ApplyResult, ...]:
    """Return what came of each document, in the order of the call; those after the done ones got nothing."""
    results = [(Result(written), warning) for written, warning in done]
    results += [(Result.NOT_APPLIED, "")] * (len(documents) - len(done))
    told = [
        ApplyResult(place, document.kind, document.name, result, warning)
        for (place, document), (result, warning) in zip(documents, results, strict=True)
    ]
    return tuple(sorted(told, key=lambda result: result.document))


# Keys that the put of one item compares or writes, at most: of a host also what it has published.
_RESTORE_COST = rules.PUT_COST + len(Family)


class RestoreOutcome(NamedTuple):
    """What came of one item: whether it is new, how many of its addresses are, how many were kept.

    Of the new addresses `unusable` and `unreachable` are counted apart (`model.special_addresses`).
    """

    kind: Kind
    created: bool
    addresses: int
    kept: int
    unusable: int
    unreachable: int


def put_item(
    draft: RegistryTransaction, item: Item, *, exported: datetime, nameservers: Collection[str]
) -> RestoreOutcome:
    """Put one item into the draft; `exported` is when the archive was made.

    Raises:
        InvalidDocumentError: it refers to what is not there; with the item's place.
        RefusedError: something else is there already; with the item's place.
    """
    title = item.document.title
    try:
        return _put(draft, item, exported, nameservers)
    except InvalidDocumentError as error:
        raise InvalidDocumentError(*(problem.of(item.place, title) for problem in error.problems)) from error
    except RefusedError as error:
        problem = Problem("", str(error), item.place, title)
        hosts = int(item.document.kind is Kind.HOST)
        raise RefusedError(str(problem), count=hosts, problems=(problem,)) from error


def _put(
    draft: RegistryTransaction, item: Item, exported: datetime, nameservers: Collection[str]
) -> RestoreOutcome:
    kind, name, spec, origin = item.document
    old = draft.of_kind(kind).get(name)
    if old is not None and old != Resource(spec, origin=origin):
        raise RefusedError("it is there already, and is not the same")
    if old is None and isinstance(spec, TokenSpec) and is_previous(name):
        draft.put_token(name, Resource(spec, origin=origin))
    else:
        rules.put(draft, item.document, nameservers, imported=True)
    came = Counter[str]()
    if kind is Kind.HOST:
        for family in Family:
            came.update(_put_address(draft, RecordKey(name, family), item.addresses.get(family), exported))
    return RestoreOutcome(
        kind, old is None, *(came[what] for what in ("restored", "kept", "unusable", "unreachable"))
    )


def _put_address(
    draft: RegistryTransaction, record: RecordKey, address: ArchivedAddress | None, exported: datetime
) -> Sequence[str]:
    """Put one address into the draft; return what it counts as, nothing if it is there already."""
    entry = draft.state.addresses.get(record)
    if entry is None or entry.value.is_tombstone:
        if address is None:
            return ()
        content = (address.ip, address.previous, address.changed)
        draft.restore(record, *content, address.error)
        return ("restored", *_remarkable(address.ip))
    present = entry.value
    if address is not None and address.ip == present.ip:
        return ()
    if present.changed > exported:
        return ("kept",)
    since = present.changed.isoformat(timespec="seconds")
    raise RefusedError(
        f"its {record.type} is {present.ip} already, since {since}, before the export was made"
    )


def _remarkable(ip: str) -> Sequence[str]:
    """Say whether a client of today may not send the address: older versions took some that no host has."""
    address = ipaddress.ip_address(ip)
    if not is_usable(address):
        return ("unusable",)
    return () if is_reachable(address) else ("unreachable",)


# of the event loop: somebody waits for it
_RESTORED_AT_ONCE = 200  # items looked at in one turn; most of them are there already, or it ends sooner
_REMEDY = "import into an empty installation (another data folder or store.etcd.prefix), or delete them first"

_ADDRESSES = ("addresses", "kept", "unusable", "unreachable")  # what is counted of them
_Put = Callable[[RegistryTransaction, Item], RestoreOutcome]


class _Tally:
    """What has come of the items so far."""

    def __init__(self) -> None:
        self.items = 0
        self._created = Counter[str]()
        self._unchanged = Counter[str]()
        self._addresses = Counter[str]()

    def add(self, came: Sequence[RestoreOutcome]) -> None:
        for each in came:
            (self._created if each.created else self._unchanged)[each.kind.plural] += 1
            for what in _ADDRESSES:
                self._addresses[what] += getattr(each, what)
        self.items += len(came)

    def restored(self) -> Restored:
        counts = (self._addresses[what] for what in _ADDRESSES)
        return Restored(Counts(**self._created), Counts(**self._unchanged), *counts)


async def restore(turns: RegistryCommits, archive: Archive, nameservers: Collection[str]) -> Restored:
    """Put the archive's resources and addresses into the installation.

    Raises:
        InvalidDocumentError: nothing was done: documents refer to what is not there.
        RefusedError: nothing was done: the installation has something else.
        StoreFailedError: as of `RegistryCommits.take`.
        PartlyRestoredError: it ended early; to be done again.
    """
    auditor = Auditor(turns.author, as_one=True)
    try:
        return await _restore(turns.audited(auditor), archive, nameservers)
    finally:
        auditor.close()


async def _restore(turns: RegistryCommits, archive: Archive, nameservers: Collection[str]) -> Restored:
    tally = _Tally()
    put = partial(put_item, exported=archive.header.time, nameservers=nameservers)
    await _check_restored(await turns.read(), archive, put)
    while tally.items < len(archive.items):
        rest = archive.items[tally.items : tally.items + _RESTORED_AT_ONCE]
        try:
            came, _ = await turns.take(partial(_fill_restored, items=rest, put=put))
        except (RegistryError, InvalidDocumentError) as error:
            raise PartlyRestoredError(tally.restored(), tally.items, len(archive.items), error) from error
        tally.add(came)
    return tally.restored()


def _fill_restored(draft: RegistryTransaction, *, items: Sequence[Item], put: _Put) -> list[RestoreOutcome]:
    """Put as many items into the draft as surely fit; return what came of these."""
    came: list[RestoreOutcome] = []
    for item in items:
        if not draft.fits(_RESTORE_COST):
            break
        came.append(put(draft, item))
    return came


async def _check_restored(draft: RegistryTransaction, archive: Archive, put: _Put) -> None:
    """Put all items into one draft, whatever its size; raise with all their problems."""
    slice = Slice(share=_SHARE)
    invalid, refused, hosts = ProblemList(), ProblemList(), 0
    for item in archive.items:
        try:
            put(draft, item)
        except InvalidDocumentError as error:
            invalid.add(*error.problems)
        except RefusedError as error:
            refused.add(*error.problems)
            hosts += error.count
        await slice.pause()
    if invalid:
        raise InvalidDocumentError(*invalid.told, *refused.told)
    strangers = await _strangers(draft, archive)
    if refused or strangers:
        raise RefusedError(_not_empty(strangers, len(refused)), count=hosts, problems=refused.told)


async def _strangers(draft: RegistryTransaction, archive: Archive) -> Counter[Kind]:
    """Count what the installation has and the archive has not."""
    slice = Slice(share=_SHARE)
    known = set()
    for item in archive.items:
        known.add(item.document[:2])
        await slice.pause()
    strangers = Counter[Kind]()
    for kind in Kind:
        for name in draft.of_kind(kind).names():
            strangers[kind] += (kind, name) not in known
            await slice.pause()
    return +strangers  # without the zeros


def _not_empty(strangers: Counter[Kind], different: int) -> str:
    has = [
        f"{count} {kind.value.lower() if count == 1 else kind.plural}" for kind, count in strangers.items()
    ]
    said = [f"{' and '.join(has)} that the export has not"] if has else []
    said += [f"{different} that differ from the export's"] if different else []
    return f"the installation is not empty: it has {', and '.join(said)}: {_REMEDY}"
