"""All objects of the four kinds, as far as they are known."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping

import structlog

from ddnsd.aio import Slice
from ddnsd.kube.absence import Sight
from ddnsd.kube.api import Absence, Client, ForbiddenError, Gone, Key, Reflector, Selection, State, View
from ddnsd.kube.objects import RESOURCES, Custom, Ref, read_custom
from ddnsd.kube.pace import background
from ddnsd.model.resources import Kind
from ddnsd.telemetry.kube import KubeMetrics

_log = structlog.get_logger(__name__)


class _Reflected:
    """The objects of one selection: all of a kind, or those of one namespace."""

    def __init__(self, kind: Kind, client: Client, namespace: str) -> None:
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

    def settle(self, kept: Collection[Ref]) -> None:
        """Forget what has gone, but for these."""
        gone = {key: one for key, one in self.view.gone.items() if Ref(self.kind, *key) not in kept}
        self.reflector.settle(gone)

    def _note(self, error: str) -> None:
        if error and error != self._error:
            _log.warning("kube.not_followed", objects=str(self.reflector.selection), reason=error)
        elif self._error and not error:
            _log.info("kube.followed_again", objects=str(self.reflector.selection))
        self._error = error


class Views:
    """The objects of some namespaces, or of the whole cluster. Run `run()` as a task of its own."""

    def __init__(self, client: Client, namespaces: Collection[str], metrics: KubeMetrics) -> None:
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
            while view.state is State.STARTING and not isinstance(view.error, ForbiddenError):
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

    def sights(self) -> Mapping[Kind, Sight]:
        """Return what is known of each kind of which all is."""
        return {kind: self._sight(kind) for kind in Kind if self._is_complete(kind)}

    def knows(self, kind: Kind) -> bool:
        """Say whether the kind is read here, and was so at least once."""
        views = [one.view for one in self._of(kind)]
        return bool(views) and all(view.state is not State.STARTING for view in views)

    def settle(self, kept: Collection[Ref]) -> None:
        """Forget which objects have gone, but for these."""
        for one in self._reflected:
            one.settle(kept)

    def _of(self, kind: Kind) -> Iterator[_Reflected]:
        return (one for one in self._reflected if one.kind is kind)

    def _is_complete(self, kind: Kind) -> bool:
        views = [one.view for one in self._of(kind)]
        return bool(views) and all(view.complete for view in views)

    def _sight(self, kind: Kind) -> Sight:
        views = [one.view for one in self._of(kind)]
        present = sum(len(view.objects) for view in views)
        return Sight(present, _gone(kind, views, Absence.DELETED), _gone(kind, views, Absence.SWEPT))


def _gone(kind: Kind, views: Collection[View], why: Absence) -> set[Ref]:
    items: Iterator[tuple[Key, Gone]] = (item for view in views for item in view.gone.items())
    return {Ref(kind, *key) for key, gone in items if gone.why is why}
