"""Keeps the set of one selection's objects current: list, watch, and list again when history is lost."""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from ddnsd.kube.api.client import ApiClient, ApiWatch
from ddnsd.kube.api.objects import (
    ApiUnavailableError,
    ExpiredError,
    Key,
    KubeError,
    NotServedError,
    Object,
    WatchEvent,
)
from ddnsd.kube.api.settings import Selection


class Absence(Enum):
    """Why an object is no longer in the set."""

    DELETED = "deleted"
    """The deletion was seen: somebody deleted it (or it no longer fits the selection's labels)."""

    VANISHED = "vanished"
    """It was missing in a list, after a time without a watch: it was deleted then, or data were lost."""

    UNINTENDED = "unintended"
    """It went with its CRD, or while its resource was not served, or is younger than the backup that the API
    server was restored from: nobody decided to delete this object."""


class Gone(NamedTuple):
    """An object that left the set, with its last content, and why it left."""

    object: Object
    why: Absence


class Replica:
    """The objects that are known; whole lists and events change them."""

    def __init__(self) -> None:
        self.resource_version = ""
        self.objects: dict[Key, Object] = {}
        self.gone: dict[Key, Gone] = {}

    def replace(self, resource_version: str, objects: Iterable[Object], why: Absence) -> None:
        """Take a whole list; `why` applies to the objects that are missing in it."""
        before, self.objects = self.objects, {found.key: found for found in objects}
        for key in before.keys() - self.objects.keys():
            self.gone[key] = Gone(before[key], why)
        for key in self.gone.keys() & self.objects.keys():
            del self.gone[key]
        self.resource_version = resource_version

    def change(self, events: Iterable[WatchEvent], why: Absence) -> bool:
        """Take events, and return whether any was more than a bookmark; `why` applies to deletions."""
        changed = False
        for event in events:
            self.resource_version = event.object.metadata.resource_version
            if event.kind == "BOOKMARK":
                continue
            changed = True
            key = event.object.key
            if event.kind == "DELETED":
                self.objects.pop(key, None)
                self.gone[key] = Gone(event.object, why)
            else:
                self.objects[key] = event.object
                self.gone.pop(key, None)
        return changed

    def settle(self, gone: Mapping[Key, Gone]) -> None:
        """Forget these, unless they have come back or gone again since."""
        for key, one in gone.items():
            if self.gone.get(key) == one:
                del self.gone[key]


@dataclass(slots=True)
class Backoff:
    """The pause doubles from `first` to `most` seconds; each is between the half and the whole of it."""

    first: float = 0.25
    most: float = 10.0
    _failures: int = 0

    def pause(self) -> float:
        """Return how long to wait after one more failure, in seconds."""
        whole = min(self.most, self.first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)  # 2.0**30 is beyond any `most`
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Start again with `first`, after a success."""
        self._failures = 0


# Discovery follows a CRD's deletion by some milliseconds, the deletion of its objects likewise.
_SETTLE = 0.3  # seconds
_SHORT = 1.0  # seconds: a watch that ends sooner has not worked


class ReflectorState(Enum):
    """How much the set of a view tells."""

    STARTING = "starting"
    """Nothing is known: there was no complete list yet."""

    CURRENT = "current"
    """Complete, and followed."""

    STALE = "stale"
    """Complete as of its resourceVersion; later changes are not known."""

    NOT_SERVED = "not served"
    """The CRD does not exist, or is being deleted. The set is what was known before, perhaps nothing."""


class ReflectorView(NamedTuple):
    """The set at one moment: complete as of `resource_version`, if `state` is CURRENT or STALE.

    `gone` has what was in the set since the reflector began and is no longer, until it is settled. Objects
    that were deleted before are in neither. `error` is the last failure, None since the last success;
    `version` counts the views.
    """

    version: int
    state: ReflectorState
    resource_version: str
    objects: Mapping[Key, Object]
    gone: Mapping[Key, Gone]
    error: KubeError | None

    @property
    def complete(self) -> bool:
        """Whether an object that is not in `objects` did not exist at `resource_version`."""
        return self.state in (ReflectorState.CURRENT, ReflectorState.STALE)


class Reflector:
    """Follows one selection while `run` runs; read by `view` and `wait`."""

    def __init__(self, client: ApiClient, selection: Selection, backoff: Backoff | None = None) -> None:
        self.selection = selection
        self._client = client
        self._backoff = backoff or Backoff()
        self._replica = Replica()
        self._state = ReflectorState.STARTING
        self._error: KubeError | None = None
        self._listed = False  # the replica's resourceVersion is one to watch from
        self._version = 0
        self._changed = asyncio.Event()

    def view(self) -> ReflectorView:
        """Return what is known now."""
        replica = self._replica
        return ReflectorView(
            self._version,
            self._state,
            replica.resource_version,
            MappingProxyType(dict(replica.objects)),
            MappingProxyType(dict(replica.gone)),
            self._error,
        )

    async def wait(self, version: int) -> ReflectorView:
        """Return a view later than the one of this version, as soon as there is one."""
        while self._version <= version:
            await self._changed.wait()
        return self.view()

    def settle(self, gone: Mapping[Key, Gone]) -> None:
        """Forget these of a view's `gone`, because the caller has dealt with them."""
        self._replica.settle(gone)

    async def run(self) -> None:
        """Follow until cancelled, whatever fails."""
        while True:
            try:
                await self._follow()
            except KubeError as error:
                self._fail(error)
                wanted = error.retry_after if isinstance(error, ApiUnavailableError) else 0.0
                await asyncio.sleep(max(self._backoff.pause(), wanted))

    async def _follow(self) -> None:
        """List where need be, and watch until the API server ends the watch in order."""
        if not self._listed or self._is_ahead_of(await self._client.newest(self.selection)):
            await self._list()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with self._client.watch(self.selection, self._replica.resource_version) as watch:
            self._succeed()
            while events := await watch.read():
                if any(event.kind == "DELETED" for event in events):
                    events += await _read_more(watch)
                    self._take(events, await self._absence())
                else:
                    self._take(events, Absence.DELETED)
        if loop.time() - begun < _SHORT:
            raise ApiUnavailableError(f"watch {self.selection}: ended at once")

    def _is_ahead_of(self, newest: str) -> bool:
        """Return whether the API server knows less than we do: its data were restored from a backup.

        It does not refuse a watch from a resourceVersion that is still to come: it is silent until then.
        """
        return _number(newest) < _number(self._replica.resource_version or "0")

    async def _list(self) -> None:
        resource_version, objects = await self._client.list(self.selection)
        unintended = self._state is ReflectorState.NOT_SERVED or self._is_ahead_of(resource_version)
        why = Absence.UNINTENDED if unintended else Absence.VANISHED
        self._replica.replace(resource_version, objects, why)
        self._listed = True
        self._state = ReflectorState.STALE  # until the watch is open

    async def _absence(self) -> Absence:
        """Return why objects were deleted: with a CRD all its objects are deleted, as if by hand.

        When that cannot be found out, the failure ends the watch, and the next one brings the same events.
        """
        if await self._client.serves(self.selection.resource):
            return Absence.DELETED
        self._state = ReflectorState.NOT_SERVED
        return Absence.UNINTENDED

    def _take(self, events: tuple[WatchEvent, ...], why: Absence) -> None:
        self._backoff.reset()
        if self._replica.change(events, why) or why is Absence.UNINTENDED:
            self._publish()

    def _succeed(self) -> None:
        if self._state is not ReflectorState.CURRENT or self._error is not None:
            self._error = None
            self._state = ReflectorState.CURRENT
            self._publish()

    def _fail(self, error: KubeError) -> None:
        if isinstance(error, NotServedError):
            self._state, self._listed = ReflectorState.NOT_SERVED, False
        elif self._state is ReflectorState.CURRENT:
            self._state = ReflectorState.STALE
        if isinstance(error, ExpiredError):
            self._listed = False
        self._error = error
        self._publish()

    def _publish(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _number(resource_version: str) -> int:
    """Return a resourceVersion as the decimal number that it is, which grows (KEP-5504)."""
    if not resource_version.isdecimal():
        raise KubeError(f"resourceVersion {resource_version[:40]!r} is not a number")
    return int(resource_version)


async def _read_more(watch: ApiWatch) -> tuple[WatchEvent, ...]:
    """Return what else comes while discovery takes its time to show a CRD's deletion."""
    events: tuple[WatchEvent, ...] = ()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE):
            while more := await watch.read():
                events += more
    return events
