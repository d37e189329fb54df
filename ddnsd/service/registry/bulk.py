"""Many resources in one call: one loop commits them, for an apply, an import and the Kubernetes controller.

What is applied or imported is checked as a whole first. An import goes on where an earlier run broke off. It
replaces nothing: what exists was put there by that run, and an address that a client has changed since the
export stays as the client wants it.
"""

import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from ddnsd.aio import Slice
from ddnsd.config.reader import Problem
from ddnsd.model.addresses import Family, is_reachable, is_usable
from ddnsd.model.records import RecordKey, Resource
from ddnsd.model.resources import Kind, TokenSpec, is_previous
from ddnsd.service.archive import ORDER, Archive, ArchivedAddress, Counts, Item
from ddnsd.service.documents import Document, InvalidDocumentError, ProblemList, read_document, title_of
from ddnsd.service.registry import rules
from ddnsd.service.registry.results import (
    Applied,
    ApplyResult,
    PartlyDoneError,
    RefusedError,
    RegistryError,
    Restored,
    Result,
)
from ddnsd.service.registry.transaction import Auditor, RegistryCommits, RegistryTransaction

MAX_ATOMIC = 100  # documents
_CHUNK = 1000  # items looked at for one commit, at most: it may be that none of them changes anything
_SECONDS = 0.01  # of deciding for one commit: a deletion looks at all hosts
_SHARE = 0.75  # of the event loop: somebody waits for it

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def commit_all(
    commits: RegistryCommits,
    items: Sequence[ItemT],
    put: Callable[[RegistryTransaction, ItemT], ResultT | None],
    cost: Callable[[RegistryTransaction, ItemT], int],
) -> AsyncIterator[tuple[list[ResultT], set[str]]]:
    """Commit the items in their order, as many at a time as one commit surely holds.

    `put` puts one item into the draft and returns its result, or None where the rest of it is to be done in
    the next commit; it is called again where something was changed meanwhile. `cost` is how many keys that
    compares or writes, at most. Yields the results of each commit, and the hosts that lost an address by it.

    Raises:
        StoreFailedError: as of `RegistryCommits.take`; and whatever `put` raises. What was yielded is done.
    """
    slice, done = Slice(_SECONDS, _SHARE), 0
    while done < len(items):
        rest = items[done : done + _CHUNK]
        decide = partial(_fill, items=rest, put=put, cost=cost)
        (results, withdrawn), revision = await commits.take(decide)
        yield results, withdrawn
        done += len(results)
        if not revision:  # there was nothing to commit, whose wait would have let others go on
            await slice.pause()


def _fill(
    draft: RegistryTransaction,
    *,
    items: Sequence[ItemT],
    put: Callable[[RegistryTransaction, ItemT], ResultT | None],
    cost: Callable[[RegistryTransaction, ItemT], int],
) -> tuple[list[ResultT], set[str]]:
    """Put as many items into the draft as surely fit; return their results, and who lost an address."""
    results: list[ResultT] = []
    end = time.perf_counter() + _SECONDS
    for item in items:
        if not draft.fits(cost(draft, item)) or (results and time.perf_counter() > end):
            break
        result = put(draft, item)
        if result is None:
            break
        results.append(result)
    return results, draft.withdrawn


def _tried(
    draft: RegistryTransaction,
    items: Iterable[ItemT],
    put: Callable[[RegistryTransaction, ItemT], ResultT],
) -> Iterator[ResultT | InvalidDocumentError | RefusedError]:
    """Put each item into the draft, whatever its size; yield its result, or why there is none."""
    for item in items:
        try:
            yield put(draft, item)
        except (InvalidDocumentError, RefusedError) as error:
            yield error


@contextlib.contextmanager
def _located(place: int, document: Document) -> Iterator[None]:
    """Say of what is wrong in which document it is."""
    try:
        yield
    except InvalidDocumentError as error:
        raise InvalidDocumentError(*(each.of(place, document.title) for each in error.problems)) from error
    except RefusedError as error:
        problem = Problem("", str(error), place, document.title)
        raise RefusedError(str(problem), count=error.count, problems=(problem,)) from error


async def read_documents(raws: Sequence[object]) -> list[Item]:
    """Read all documents, in the order in which they are to be applied.

    Raises:
        InvalidDocumentError: with the problems of all of them.
    """
    items: dict[tuple[Kind, str], Item] = {}
    problems: list[Problem] = []
    slice = Slice(share=_SHARE)
    for place, raw in enumerate(raws, 1):
        await slice.pause()
        try:
            document = read_document(raw)
        except InvalidDocumentError as error:
            problems += [problem.of(place, title_of(raw)) for problem in error.problems]
            continue
        first = items.setdefault((document.kind, document.name), Item(place, document, {}))
        if first.place != place:
            message = f"the same as document {first.place}: keep one"
            problems.append(Problem("metadata.name", message, place, document.title, first.place))
    if problems:
        raise InvalidDocumentError(*problems)
    return sorted(items.values(), key=lambda item: ORDER.index(item.document.kind))


async def apply(commits: RegistryCommits, items: Sequence[Item], nameservers: Collection[str]) -> Applied:
    """Apply the documents: in one commit if they are few, else in several.

    Raises:
        InvalidDocumentError, RefusedError: nothing was applied; with the problems of all documents.
        StoreFailedError: as of `RegistryCommits.take`.
        PartlyDoneError: it ended early.
    """
    put = partial(_apply_item, nameservers=nameservers)
    if len(items) <= MAX_ATOMIC:
        with contextlib.suppress(_TooLargeError):
            decide = partial(_apply_together, items=items, nameservers=nameservers)
            (done, withdrawn), _ = await commits.take(decide)
            return _applied(items, done, withdrawn, atomic=True)
    else:
        draft = await commits.read()
        _demand_results([each async for each in Slice(share=_SHARE).each(_tried(draft, items, put))])
    done, withdrawn = list[ApplyResult](), set[str]()
    try:
        async for more, withdrawn_by_these in commit_all(commits, items, put, _apply_cost):
            done += more
            withdrawn |= withdrawn_by_these
    except (RegistryError, InvalidDocumentError) as error:
        if not done:
            raise
        raise PartlyDoneError(str(error), _applied(items, done, withdrawn, atomic=False)) from error
    return _applied(items, done, withdrawn, atomic=False)


class _TooLargeError(Exception):
    """One commit cannot hold the documents and the addresses that they withdraw."""


def _apply_together(
    draft: RegistryTransaction, *, items: Sequence[Item], nameservers: Collection[str]
) -> tuple[list[ApplyResult], set[str]]:
    """Put all documents into the draft, or none; raise with all their problems."""
    others = rules.secrets_after(item.document for item in items)
    put = partial(_apply_item, nameservers=nameservers, others=others)
    results = _demand_results(_tried(draft, items, put))
    if not draft.fits():
        raise _TooLargeError
    return results, draft.withdrawn


def _demand_results(
    outcomes: Iterable[ApplyResult | InvalidDocumentError | RefusedError],
) -> list[ApplyResult]:
    """Return the outcomes if all are results; else raise with all problems."""
    results: list[ApplyResult] = []
    invalid: list[Problem] = []
    refused: list[Problem] = []
    hosts = 0
    for outcome in outcomes:
        match outcome:
            case ApplyResult():
                results.append(outcome)
            case InvalidDocumentError():
                invalid += outcome.problems
            case RefusedError():
                refused += outcome.problems
                hosts += outcome.count
    if invalid:
        raise InvalidDocumentError(*sorted(invalid + refused, key=lambda problem: problem.document))
    if refused:
        raise RefusedError("; ".join(map(str, refused)), count=hosts, problems=tuple(refused))
    return results


def _apply_cost(draft: RegistryTransaction, item: Item) -> int:
    return rules.PUT_COST + draft.given(item.document.name)


def _apply_item(
    draft: RegistryTransaction,
    item: Item,
    nameservers: Collection[str],
    others: Mapping[str, str] = rules.NOBODY,
) -> ApplyResult:
    """Put one document into the draft.

    Raises:
        InvalidDocumentError, RefusedError: as of `rules.put`; with the document's place.
    """
    place, document, _ = item
    with _located(place, document):
        result = rules.put(draft, document, nameservers, others)
    warning = draft.warning(document.name) if document.kind is Kind.HOST else ""
    return ApplyResult(place, document.kind, document.name, result, warning)


def _applied(
    items: Sequence[Item], done: Sequence[ApplyResult], withdrawn: Collection[str], *, atomic: bool
) -> Applied:
    """Return what came of each document, in the order of the call; those after the done ones got nothing."""
    rest = [
        ApplyResult(place, document.kind, document.name, Result.NOT_APPLIED)
        for place, document, _ in items[len(done) :]
    ]
    results = sorted((*done, *rest), key=lambda result: result.document)
    return Applied(atomic, tuple(results), tuple(sorted(withdrawn)))


# Keys that the put of one item compares or writes, at most: of a host also what it has published.
_RESTORE_COST = rules.PUT_COST + len(Family)
_REMEDY = "import into an empty installation (another data folder or store.etcd.prefix), or delete them first"
_ADDRESSES = ("addresses", "kept", "unusable", "unreachable")  # what is counted of them


async def restore(commits: RegistryCommits, archive: Archive, nameservers: Collection[str]) -> Restored:
    """Put the archive's resources and addresses into the installation.

    Raises:
        InvalidDocumentError: nothing was done: documents refer to what is not there.
        RefusedError: nothing was done: the installation has something else.
        StoreFailedError: as of `RegistryCommits.take`.
        PartlyDoneError: it ended early; to be done again.
    """
    put = partial(_restore_item, exported=archive.header.time, nameservers=nameservers)
    await _check_restored(await commits.read(), archive, put)
    auditor = Auditor(commits.auditor.author, as_one=True)
    counts, done = Counter[str](), 0
    try:
        parts = commit_all(commits.audited(auditor), archive.items, put, lambda *_: _RESTORE_COST)
        async for results, _ in parts:
            for result in results:
                counts.update(result)
            done += len(results)
    except (RegistryError, InvalidDocumentError) as error:
        how_far = f"{done} of {len(archive.items)} documents are imported, then it ended: {error}"
        message = f"{how_far}; import the same export again to go on"
        raise PartlyDoneError(message, _restored(counts)) from error
    finally:
        auditor.close()
    return _restored(counts)


def _restored(counts: Mapping[str, int]) -> Restored:
    created = Counts(*(counts[f"created {kind}"] for kind in Kind))
    unchanged = Counts(*(counts[f"unchanged {kind}"] for kind in Kind))
    return Restored(created, unchanged, *(counts[what] for what in _ADDRESSES))


def _restore_item(
    draft: RegistryTransaction, item: Item, exported: datetime, nameservers: Collection[str]
) -> Sequence[str]:
    """Put one item into the draft; return what it counts as. `exported` is when the archive was made.

    Raises:
        InvalidDocumentError: it refers to what is not there; with the item's place.
        RefusedError: something else is there already; with the item's place.
    """
    kind, name, spec, origin = item.document
    counts: list[str] = []
    with _located(item.place, item.document):
        old = draft.of_kind(kind).get(name)
        if old is not None and old != Resource(spec, origin=origin):
            raise RefusedError("it is there already, and is not the same")
        counts.append(f"created {kind}" if old is None else f"unchanged {kind}")
        if old is None and isinstance(spec, TokenSpec) and is_previous(name):
            draft.put_token(name, Resource(spec, origin=origin))
        else:
            rules.put(draft, item.document, nameservers, imported=True)
        for family in Family if kind is Kind.HOST else ():
            counts += _put_address(draft, RecordKey(name, family), item.addresses.get(family), exported)
    return counts


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
        return ("addresses", *_remarkable(address.ip))
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


async def _check_restored(
    draft: RegistryTransaction,
    archive: Archive,
    put: Callable[[RegistryTransaction, Item], Sequence[str]],
) -> None:
    """Put all items into one draft, whatever its size; raise with all their problems."""
    invalid, refused, hosts = ProblemList(), ProblemList(), 0
    outcomes = zip(archive.items, _tried(draft, archive.items, put), strict=True)
    async for item, outcome in Slice(share=_SHARE).each(outcomes):
        if isinstance(outcome, InvalidDocumentError):
            invalid.add(*outcome.problems)
        elif isinstance(outcome, RefusedError):
            refused.add(*outcome.problems)
            hosts += item.document.kind is Kind.HOST
    if invalid:
        raise InvalidDocumentError(*invalid.told, *refused.told)
    strangers = await _strangers(draft, archive)
    if refused or strangers:
        raise RefusedError(_not_empty(strangers, len(refused)), count=hosts, problems=refused.told)


async def _strangers(draft: RegistryTransaction, archive: Archive) -> Counter[Kind]:
    """Count what the installation has and the archive has not."""
    slice = Slice(share=_SHARE)
    known = {item.document[:2] async for item in slice.each(archive.items)}
    strangers = Counter[Kind]()
    for kind in Kind:
        async for name in slice.each(draft.of_kind(kind).names()):
            strangers[kind] += (kind, name) not in known
    return +strangers  # without the zeros


def _not_empty(strangers: Counter[Kind], different: int) -> str:
    has = [kind.counted(count) for kind, count in strangers.items()]
    said = [f"{' and '.join(has)} that the export has not"] if has else []
    said += [f"{different} that differ from the export's"] if different else []
    return f"the installation is not empty: it has {', and '.join(said)}: {_REMEDY}"
