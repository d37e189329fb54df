"""Which resources go because their objects are gone. Pure.

An object that was seen to be deleted is. One that is merely absent from a list may be so by mistake: a
cluster that was set up again, a backup that was restored without it. A few go at once; many are held until
somebody says `ddnsd source prune`.

All objects of the four kinds, as far as they are known.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from ddnsd.aio import Slice, background
from ddnsd.kube.api import (
    Absence,
    ApiClient,
    ForbiddenError,
    Gone,
    Key,
    Reflector,
    ReflectorState,
    ReflectorView,
    Selection,
)
from ddnsd.kube.objects import RESOURCES, Custom, Ref, read_custom
from ddnsd.model.records import Resource
from ddnsd.model.resources import Kind, Spec, called, is_previous
from ddnsd.telemetry.metrics import KubeMetrics

_FEW = 10
_SHARE = 0.2


class StoredObject(NamedTuple):
    """A resource in the store that comes from an object.

    `doomed`: its object has gone before, and it only stays until nothing refers to it any more.
    """

    ref: Ref
    name: str  # what it is called in the store
    doomed: bool = False


class SeenObjects(NamedTuple):
    """What is known of one kind's objects, of which all are.

    `present` is how many there are. `deleted` were seen to be so; `swept` went with their
    CustomResourceDefinition: nobody wished that.
    """

    present: int
    deleted: Collection[Ref] = ()
    swept: Collection[Ref] = ()


def stored_as(kind: Kind, name: str, resource: Resource[Spec], source: str) -> StoredObject | None:
    """Return what object a resource comes from, None if from none of this source."""
    origin = resource.origin
    if origin is None or origin.source != source:
        return None
    if kind in (Kind.ZONE, Kind.HOST):
        return StoredObject(Ref(kind, origin.namespace, name), name, resource.held and kind is Kind.ZONE)
    if is_previous(name):  # it goes with its token
        return None
    return StoredObject(
        Ref(kind, origin.namespace, called(name, origin)), name, resource.held and kind is Kind.ACCOUNT
    )


def gone(
    missing: Mapping[Kind, Collection[StoredObject]],
    sights: Mapping[Kind, SeenObjects],
    total: int,
    *,
    suspicious: bool,
) -> tuple[Sequence[StoredObject], Sequence[StoredObject]]:
    """Sort out the resources whose objects are missing, of a total of so many.

    Return those that go now, and those that are held: only `prune` lets them go.
    `sights` has the kinds that are served and completely listed; nothing of another kind goes. All that is
    absent is held if that is `suspicious` for another reason, or if it is much; all of a kind, if none of
    it is there at all, as after its CustomResourceDefinition was put back.
    """
    now: list[StoredObject] = []
    absent: list[StoredObject] = []
    doubted: set[Ref] = set()
    for kind, sight in sights.items():
        certain = [one for one in missing[kind] if one.doomed or one.ref in sight.deleted]
        unseen = [one for one in missing[kind] if not (one.doomed or one.ref in sight.deleted)]
        now += certain
        absent += unseen
        doubted.update(sight.swept if sight.present else (one.ref for one in unseen))
    if suspicious or len(absent) > max(_FEW, _SHARE * total):
        return now, absent
    now += [one for one in absent if one.ref not in doubted]
    return now, [one for one in absent if one.ref in doubted]


_log = structlog.get_logger(__name__)


class _Reflected:
    """The objects of one selection: all of a kind, or those of one namespace."""

    def __init__(self, kind: Kind, client: ApiClient, namespace: str) -> None:
        self.kind = kind
        self.reflector = Reflector(client, Selection(RESOURCES[kind], namespace))
        self.view = self.reflector.view()
        self.customs: dict[Key, Custom] = {}
        self._versions: dict[Key, str] = {}
        self._error = ""

    @property
    def fails(self) -> bool:
        """Say whether it cannot be followed now."""
        return bool(self._error)

    async def follow(self, changed: Callable[[], None]) -> None:
        """Say whenever there is something new, and log what fails. Never returns."""
        version = self.reflector.view().version
        while True:
            view = await self.reflector.wait(version)
            version = view.version
            self._note(str(view.error or ""))
            changed()

    async def refresh(self, slice: Slice) -> None:
        """Take what is known now; read only what is new."""
        self.view = self.reflector.view()
        objects = self.view.objects
        for key in self.customs.keys() - objects.keys():
            del self.customs[key], self._versions[key]
        for key, object in objects.items():
            version = object.metadata.resource_version
            if self._versions.get(key) != version:
                self.customs[key] = read_custom(self.kind, object)
                self._versions[key] = version
            await slice.pause()

    def _note(self, error: str) -> None:
        if error and error != self._error:
            _log.warning("kube.not_followed", objects=str(self.reflector.selection), reason=error)
        elif self._error and not error:
            _log.info("kube.followed_again", objects=str(self.reflector.selection))
        self._error = error


class Views:
    """The objects of some namespaces, or of the whole cluster. Run `run()` as a task of its own."""

    def __init__(self, client: ApiClient, namespaces: Collection[str], metrics: KubeMetrics) -> None:
        """`namespaces` are watched; none: all, and the Zones, which lie in none."""
        self._metrics = metrics
        self._places = {  # by kind and namespace, "" for all
            (kind, namespace): _Reflected(kind, client, namespace)
            for kind in Kind
            for namespace in (namespaces or ("",))
            if kind is not Kind.ZONE or not namespaces
        }
        self._reflected = self._places.values()

    async def run(self, changed: Callable[[], None]) -> None:
        """Follow all, and say whenever there is something new. Never returns."""

        def note() -> None:
            self._metrics.unfollowed(sum(one.fails for one in self._reflected))
            changed()

        async with asyncio.TaskGroup() as group:
            for one in self._reflected:
                group.create_task(one.reflector.run(), name=f"kube {one.reflector.selection}")
                group.create_task(one.follow(note), name=f"kube note {one.reflector.selection}")

    async def known(self) -> None:
        """Wait until it is known of every kind what there is, that it is not served, or that it is forbidden.

        A kind that may not be read stops nothing but itself.
        """
        for one in self._reflected:
            view = one.reflector.view()
            while view.state is ReflectorState.STARTING and not isinstance(view.error, ForbiddenError):
                view = await one.reflector.wait(view.version)

    async def refresh(self) -> None:
        """Take what is known now."""
        slice = background()
        for one in self._reflected:
            await one.refresh(slice)

    def of_kind(self, kind: Kind) -> Iterator[Custom]:
        """Yield the objects of a kind."""
        for one in self._of(kind):
            yield from one.customs.values()

    def get(self, ref: Ref) -> Custom | None:
        """Return an object, if there is one."""
        one = self._places.get((ref.kind, "")) or self._places.get((ref.kind, ref.namespace))
        return one.customs.get(Key(ref.namespace, ref.name)) if one else None

    @property
    def are_complete(self) -> bool:
        """Say whether it is known of every kind which objects there are."""
        return all(one.view.complete for one in self._reflected)

    def sights(self) -> Mapping[Kind, SeenObjects]:
        """Return what is known of each kind of which all is."""
        return {kind: self._sight(kind) for kind in Kind if self._is_complete(kind)}

    def knows(self, kind: Kind) -> bool:
        """Say whether the kind is read here, and was so at least once."""
        views = [one.view for one in self._of(kind)]
        return bool(views) and all(view.state is not ReflectorState.STARTING for view in views)

    def settle(self, kept: Collection[Ref]) -> None:
        """Forget which objects have gone, but for these."""
        for one in self._reflected:
            gone = {key: gone for key, gone in one.view.gone.items() if Ref(one.kind, *key) not in kept}
            one.reflector.settle(gone)

    def _of(self, kind: Kind) -> Iterator[_Reflected]:
        return (one for one in self._reflected if one.kind is kind)

    def _is_complete(self, kind: Kind) -> bool:
        views = [one.view for one in self._of(kind)]
        return bool(views) and all(view.complete for view in views)

    def _sight(self, kind: Kind) -> SeenObjects:
        views = [one.view for one in self._of(kind)]
        present = sum(len(view.objects) for view in views)
        return SeenObjects(
            present, _gone(kind, views, Absence.DELETED), _gone(kind, views, Absence.UNINTENDED)
        )


def _gone(kind: Kind, views: Collection[ReflectorView], why: Absence) -> set[Ref]:
    items: Iterator[tuple[Key, Gone]] = (item for view in views for item in view.gone.items())
    return {Ref(kind, *key) for key, gone in items if gone.why is why}
