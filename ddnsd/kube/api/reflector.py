"""Keeps the set of one selection's objects current: list, watch, and list again when history is lost."""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from ddnsd.kube.api.client import Client, Serving, Watch
from ddnsd.kube.api.objects import (
    Event,
    EventKind,
    ExpiredError,
    Key,
    KubeError,
    MalformedError,
    NotServedError,
    Object,
    OverloadedError,
    UnavailableError,
)
from ddnsd.kube.api.settings import Selection


class Absence(Enum):
    """Why an object is no longer in the set."""

    DELETED = "deleted"
    """It was seen: somebody deleted it (or it no longer fits the selection's labels)."""

    VANISHED = "vanished"
    """It was missing in a list, after a time that nobody watched. Deleted then, or data were lost."""

    SWEPT = "swept"
    """It went with its CRD, or while its resource was not served, or is younger than the backup that the API
    server was restored from: nobody wished this object away."""


class Gone(NamedTuple):
    """An object that was in the set, as it was last, and why it is not."""

    object: Object
    why: Absence


class Replica:
    """What is known of the objects; changed by whole lists and by events."""

    def __init__(self) -> None:
        self.resource_version = ""
        self.objects: dict[Key, Object] = {}
        self.gone: dict[Key, Gone] = {}

    def replace(self, resource_version: str, objects: Iterable[Object], why: Absence) -> None:
        """Take a whole list; `why` is what holds for those that are missing in it."""
        before, self.objects = self.objects, {found.key: found for found in objects}
        for key in before.keys() - self.objects.keys():
            self.gone[key] = Gone(before[key], why)
        for key in self.gone.keys() & self.objects.keys():
            del self.gone[key]
        self.resource_version = resource_version

    def change(self, events: Iterable[Event], why: Absence) -> bool:
        """Take events, and say whether any was more than a bookmark; `why` is what holds for deletions."""
        changed = False
        for event in events:
            self.resource_version = event.object.metadata.resource_version
            if event.kind is EventKind.BOOKMARK:
                continue
            changed = True
            key = event.object.key
            if event.kind is EventKind.DELETED:
                self.objects.pop(key, None)
                self.gone[key] = Gone(event.object, why)
            else:
                self.objects[key] = event.object
                self.gone.pop(key, None)
        return changed

    def settle(self, gone: Mapping[Key, Gone]) -> None:
        """Forget what has gone, as long as it is still the same."""
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
        """Begin anew: it works again."""
        self._failures = 0


# Discovery follows a CRD's deletion by some milliseconds, the deletion of its objects likewise.
_SETTLE = 0.3  # seconds
_SHORT = 1.0  # seconds: a watch that ends sooner has not worked


class State(Enum):
    """What the set of a view is worth."""

    STARTING = "starting"
    """Nothing is known: there was no complete list yet."""

    CURRENT = "current"
    """Complete, and followed."""

    STALE = "stale"
    """Complete as of its resourceVersion; what came after is not known."""

    NOT_SERVED = "not served"
    """The CRD is not there, or is being deleted. The set is what was known before, perhaps nothing."""


class View(NamedTuple):
    """A moment of the set: complete as of `resource_version`, if `state` is CURRENT or STALE.

    `gone` has what was in the set since the reflector began and is no longer, until it is settled. Objects
    that were deleted before are in neither. `error` is the last failure, None since the last success;
    `heard` the event loop's time of the last sign of life (0.0: none). `version` counts the views.
    """

    version: int
    state: State
    resource_version: str
    objects: Mapping[Key, Object]
    gone: Mapping[Key, Gone]
    error: KubeError | None
    heard: float

    @property
    def complete(self) -> bool:
        """Say whether what is not in `objects` was not there at `resource_version`."""
        return self.state in (State.CURRENT, State.STALE)


class Reflector:
    """Follows one selection while `run` runs; read by `view` and `wait`."""

    def __init__(self, client: Client, selection: Selection, backoff: Backoff | None = None) -> None:
        self.selection = selection
        self._client = client
        self._backoff = backoff or Backoff()
        self._replica = Replica()
        self._state = State.STARTING
        self._error: KubeError | None = None
        self._heard = 0.0
        self._listed = False  # the replica's resourceVersion is one to watch from
        self._version = 0
        self._changed = asyncio.Event()

    def view(self) -> View:
        """Return what is known now."""
        replica = self._replica
        return View(
            self._version,
            self._state,
            replica.resource_version,
            MappingProxyType(dict(replica.objects)),
            MappingProxyType(dict(replica.gone)),
            self._error,
            self._heard,
        )

    async def wait(self, version: int) -> View:
        """Return a view later than the one of this version, as soon as there is one."""
        while self._version <= version:
            await self._changed.wait()
        return self.view()

    def settle(self, gone: Mapping[Key, Gone]) -> None:
        """Forget these of a view's `gone`: the caller has drawn its conclusions."""
        self._replica.settle(gone)

    async def run(self) -> None:
        """Follow until cancelled, whatever fails."""
        while True:
            try:
                await self._follow()
            except KubeError as error:
                self._fail(error)
                wanted = error.retry_after if isinstance(error, OverloadedError) else 0.0
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
                if any(event.kind is EventKind.DELETED for event in events):
                    events += await _read_more(watch)
                    self._take(events, await self._meaning())
                else:
                    self._take(events, Absence.DELETED)
        if loop.time() - begun < _SHORT:
            raise UnavailableError(f"watch {self.selection}: ended at once")

    def _is_ahead_of(self, newest: str) -> bool:
        """Say whether the API server knows less than we do: its data were restored from a backup.

        It does not refuse a watch from a resourceVersion that is still to come, it tells nothing until then.
        """
        return _number(newest) < _number(self._replica.resource_version or "0")

    async def _list(self) -> None:
        listing = await self._client.list(self.selection)
        swept = self._state is State.NOT_SERVED or self._is_ahead_of(listing.resource_version)
        why = Absence.SWEPT if swept else Absence.VANISHED
        self._replica.replace(listing.resource_version, listing.objects, why)
        self._listed = True
        self._state = State.STALE  # until the watch stands

    async def _meaning(self) -> Absence:
        """Say what a deletion means: with a CRD all its objects are deleted, as if by hand.

        When it cannot be told, the failure ends the watch, and the next one brings the same events.
        """
        serving = await self._client.serving(self.selection.resource)
        if serving is Serving.SERVED:
            return Absence.DELETED
        self._state = State.NOT_SERVED
        return Absence.SWEPT

    def _take(self, events: tuple[Event, ...], why: Absence) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._backoff.reset()
        if self._replica.change(events, why) or why is Absence.SWEPT:
            self._tell()

    def _succeed(self) -> None:
        self._heard = asyncio.get_running_loop().time()
        if self._state is not State.CURRENT or self._error is not None:
            self._error = None
            self._state = State.CURRENT
            self._tell()

    def _fail(self, error: KubeError) -> None:
        if isinstance(error, NotServedError):
            self._state, self._listed = State.NOT_SERVED, False
        elif self._state is State.CURRENT:
            self._state = State.STALE
        if isinstance(error, ExpiredError):
            self._listed = False
        self._error = error
        self._tell()

    def _tell(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _number(resource_version: str) -> int:
    """Return a resourceVersion as the decimal number that it is, which grows (KEP-5504)."""
    if not resource_version.isdecimal():
        raise MalformedError(f"resourceVersion {resource_version[:40]!r} is no number")
    return int(resource_version)


async def _read_more(watch: Watch) -> tuple[Event, ...]:
    """Return what else comes until discovery has had the time to hear of a CRD's deletion."""
    events: tuple[Event, ...] = ()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLE):
            while more := await watch.read():
                events += more
    return events
