"""An archive put into the installation: all of it checked first, then in chunks, again if it broke off.

Nothing that exists is replaced. What is there already is what an earlier run of the same import has put
there; an address that a client has changed since the export was made stays as the client wants it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import msgspec

from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey, Resource
from ddnsd.model.resources import Kind
from ddnsd.service.archive import Address, Archive, Counts, Item
from ddnsd.service.problems import InvalidDocumentError, Problem, ProblemList
from ddnsd.service.registry import rules
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import PartlyRestoredError, RefusedError, RegistryError
from ddnsd.service.registry.results import Restored
from ddnsd.service.registry.turns import Turns
from ddnsd.service.timeslice import TimeSlice

_CHUNK = 200  # items looked at in one turn; most of them are there already, or it ends sooner
_REMEDY = "import into an empty installation (another data folder, or store.prefix), or delete them first"


class _Came(NamedTuple):
    """What came of one item: whether it is new, how many of its addresses are, how many were kept."""

    kind: Kind
    created: bool
    addresses: int
    kept: int


_Put = Callable[[Draft, Item], _Came]


async def restore(turns: Turns, archive: Archive, nameservers: Collection[str]) -> Restored:
    """Put the archive's resources and addresses into the installation.

    Raises:
        InvalidDocumentError: nothing was done: documents refer to what is not there.
        RefusedError: nothing was done: the installation has something else.
        StoreFailedError: as of `Turns.take`.
        PartlyRestoredError: it ended early; to be done again.
    """
    done: list[_Came] = []
    put = partial(_put, exported=archive.header.time, nameservers=nameservers)
    await _check(await turns.read(), archive, put)
    while len(done) < len(archive.items):
        rest = archive.items[len(done) : len(done) + _CHUNK]
        try:
            came, _ = await turns.take(partial(_fill, items=rest, put=put))
        except (RegistryError, InvalidDocumentError) as error:
            raise PartlyRestoredError(_summary(done), len(done), len(archive.items), error) from error
        done += came
    return _summary(done)


def _put(draft: Draft, item: Item, *, exported: datetime, nameservers: Collection[str]) -> _Came:
    """Put one item into the draft; `exported` is when the archive was made.

    Raises:
        InvalidDocumentError, RefusedError: as of `restore`, with the item's place.
    """
    title = item.document.title
    try:
        return _put_unplaced(draft, item, exported, nameservers)
    except InvalidDocumentError as error:
        raise InvalidDocumentError(*(problem.of(item.place, title) for problem in error.problems)) from error
    except RefusedError as error:
        problem = Problem("", str(error), item.place, title)
        hosts = int(item.document.kind is Kind.HOST)
        raise RefusedError(str(problem), count=hosts, problems=(problem,)) from error


def _put_unplaced(draft: Draft, item: Item, exported: datetime, nameservers: Collection[str]) -> _Came:
    kind, name, spec = item.document
    old = draft.of_kind(kind).get(name)
    if old is not None and old != Resource(spec):
        raise RefusedError("it is there already, and is not the same")
    rules.put(draft, item.document, nameservers)
    came = Counter[str]()
    if kind is Kind.HOST:
        for family in Family:
            came[_put_address(draft, RecordKey(name, family), item.addresses.get(family), exported)] += 1
    return _Came(kind, old is None, came["restored"], came["kept"])


def _put_address(draft: Draft, record: RecordKey, address: Address | None, exported: datetime) -> str:
    """Put one address into the draft; say whether it was restored, kept as it is, or neither ("")."""
    entry = draft.state.addresses.get(record)
    if entry is None or entry.value.is_tombstone:
        if address is None:
            return ""
        draft.restore(record, *msgspec.structs.astuple(address))
        return "restored"
    present = entry.value
    if address is not None and address.ip == present.ip:
        return ""
    if present.changed > exported:
        return "kept"
    since = present.changed.isoformat(timespec="seconds")
    raise RefusedError(
        f"its {record.family} is {present.ip} already, since {since}, before the export was made"
    )


def _fill(draft: Draft, *, items: Sequence[Item], put: _Put) -> list[_Came]:
    """Put as many items into the draft as surely fit; return what came of these."""
    came: list[_Came] = []
    for item in items:
        if not draft.fits(rules.PUT_COST):
            break
        came.append(put(draft, item))
    return came


async def _check(draft: Draft, archive: Archive, put: _Put) -> None:
    """Put all items into one draft, whatever its size; raise with all their problems."""
    slice = TimeSlice()
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


async def _strangers(draft: Draft, archive: Archive) -> Counter[Kind]:
    """Count what the installation has and the archive has not."""
    slice = TimeSlice()
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


def _summary(done: Sequence[_Came]) -> Restored:
    created = Counter(came.kind.plural for came in done if came.created)
    unchanged = Counter(came.kind.plural for came in done if not came.created)
    addresses, kept = sum(came.addresses for came in done), sum(came.kept for came in done)
    return Restored(Counts(**created), Counts(**unchanged), addresses, kept)
