"""An archive put into the installation: all of it checked first, then in chunks, again if it broke off.

Nothing that exists is replaced. What is there already is what an earlier run of the same import has put
there; an address that a client has changed since the export was made stays as the client wants it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial

from ddnsd.aio import Slice
from ddnsd.model.resources import Kind
from ddnsd.service.archive import Archive, Counts, Item
from ddnsd.service.problems import InvalidDocumentError, ProblemList
from ddnsd.service.registry.audited import Auditor
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import PartlyRestoredError, RefusedError, RegistryError
from ddnsd.service.registry.items import PUT_COST, Came, put_item
from ddnsd.service.registry.results import Restored
from ddnsd.service.registry.turns import Turns

_SHARE = 0.5  # of the event loop: somebody waits for it
_CHUNK = 200  # items looked at in one turn; most of them are there already, or it ends sooner
_REMEDY = "import into an empty installation (another data folder or store.etcd.prefix), or delete them first"

_ADDRESSES = ("addresses", "kept", "unusable", "unreachable")  # what is counted of them
_Put = Callable[[Draft, Item], Came]


class _Tally:
    """What has come of the items so far."""

    def __init__(self) -> None:
        self.items = 0
        self._created = Counter[str]()
        self._unchanged = Counter[str]()
        self._addresses = Counter[str]()

    def add(self, came: Sequence[Came]) -> None:
        for each in came:
            (self._created if each.created else self._unchanged)[each.kind.plural] += 1
            for what in _ADDRESSES:
                self._addresses[what] += getattr(each, what)
        self.items += len(came)

    def restored(self) -> Restored:
        counts = (self._addresses[what] for what in _ADDRESSES)
        return Restored(Counts(**self._created), Counts(**self._unchanged), *counts)


async def restore(turns: Turns, archive: Archive, nameservers: Collection[str]) -> Restored:
    """Put the archive's resources and addresses into the installation.

    Raises:
        InvalidDocumentError: nothing was done: documents refer to what is not there.
        RefusedError: nothing was done: the installation has something else.
        StoreFailedError: as of `Turns.take`.
        PartlyRestoredError: it ended early; to be done again.
    """
    auditor = Auditor(turns.author, as_one=True)
    try:
        return await _restore(turns.audited(auditor), archive, nameservers)
    finally:
        auditor.close()


async def _restore(turns: Turns, archive: Archive, nameservers: Collection[str]) -> Restored:
    tally = _Tally()
    put = partial(put_item, exported=archive.header.time, nameservers=nameservers)
    await _check(await turns.read(), archive, put)
    while tally.items < len(archive.items):
        rest = archive.items[tally.items : tally.items + _CHUNK]
        try:
            came, _ = await turns.take(partial(_fill, items=rest, put=put))
        except (RegistryError, InvalidDocumentError) as error:
            raise PartlyRestoredError(tally.restored(), tally.items, len(archive.items), error) from error
        tally.add(came)
    return tally.restored()


def _fill(draft: Draft, *, items: Sequence[Item], put: _Put) -> list[Came]:
    """Put as many items into the draft as surely fit; return what came of these."""
    came: list[Came] = []
    for item in items:
        if not draft.fits(PUT_COST):
            break
        came.append(put(draft, item))
    return came


async def _check(draft: Draft, archive: Archive, put: _Put) -> None:
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


async def _strangers(draft: Draft, archive: Archive) -> Counter[Kind]:
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
