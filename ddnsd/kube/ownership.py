"""Checks who owns a source's name and its objects before anything changes, and reports who else claims them.

A store may be empty because another one was meant: a release under another name, another mode, a lost volume.
Helm refuses that where it looks at the cluster, and a tool that only renders the chart does not. So each
object's status names the installation that works by it, and a controller whose store has nothing of its
source, and another id, leaves all as it is until an operator decides.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ddnsd.aio import Trigger, background, run_until
from ddnsd.kube.translate import installation_of
from ddnsd.kube.views import Views
from ddnsd.model.resources import Kind
from ddnsd.service.registry import StoreFailedError
from ddnsd.service.registry.sourced import SourcedRegistry
from ddnsd.store import keys
from ddnsd.store.interface import UnavailableError
from ddnsd.store.watch_cache import WatchCache

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_WATCHED = (keys.SOURCES, *(kind.plural for kind in Kind))


class Ownership:
    """Looks after one source, while this process controls it. `due()` says that objects have changed."""

    def __init__(
        self,
        source: str,
        views: Views,
        cache: WatchCache,
        registry: SourcedRegistry,
        warn: Callable[[str, str], None],
    ) -> None:
        """`warn` takes a reason in one word and a note: an Event for the operators of this cluster."""
        self._source = source
        self._views = views
        self._cache = cache
        self._registry = registry
        self._warn = warn
        self._trigger = Trigger()
        self._told = ""  # the last other installation, or claimant

    def due(self) -> None:
        """Look again soon."""
        self._trigger.due()

    async def objects_are_ours(self) -> None:
        """Return once the objects may be worked by.

        Raises:
            NotMineError: the source is controlled by somebody else.
        """
        await self._views.known()
        are_ours = asyncio.Event()

        async def look() -> None:
            if not await self._other_installation():
                are_ours.set()

        await run_until(are_ours.wait(), self._whenever_due(look))

    async def tell_claims(self) -> None:
        """Report when another Namespace claims the source's name. Never returns."""
        await self._whenever_due(self._tell_claim)

    async def _whenever_due(self, look: Callable[[], Awaitable[None]]) -> None:
        """Look now, and whenever the objects or what is stored has changed."""

        def failed(error: Exception) -> None:
            _log.warning("kube.pass_failed", reason=str(error))

        unsubscribe = self._cache.subscribe(lambda _: self.due(), _WATCHED)
        self.due()
        try:
            await self._trigger.run(
                look,
                retry_on=(StoreFailedError, UnavailableError),
                retry_after=_RETRY_SECONDS,
                failed=failed,
            )
        finally:
            unsubscribe()

    async def _other_installation(self) -> str:
        """Return which other installation the objects belong to, "" if they are ours, or nobody's yet."""
        await self._cache.current()
        await self._views.refresh()
        other = "" if await self._has_resources() else self._named()
        await self._registry.note_installation(other)
        if other and other != self._told:
            note = (
                f"the objects of source {self._source} belong to installation {other}, and this store, which "
                "has nothing of them, is another one: nothing is changed. Is it the right store? Import a "
                f"backup, or, if it is to replace the other, `ddnsd source takeover {self._source}`"
            )
            _log.error("kube.other_installation", source=self._source, installation=other, reason=note)
            self._warn("OtherInstallation", note)
        self._told = other
        return other

    async def _has_resources(self) -> bool:
        """Say whether anything of the source is in the store."""
        slice = background()
        for kind in Kind:
            for entry in [*self._cache.state.resources(kind).values()]:
                if entry.value.origin is not None and entry.value.origin.source == self._source:
                    return True
                await slice.pause()
        return False

    def _named(self) -> str:
        """Return the first of the other installations that objects name, but for one that is replaced."""
        state = self._cache.state
        source = state.sources.get(self._source)
        ours = {"", installation_of(state), source.value.replaced_installation if source else ""}
        named = {custom.status.installation for kind in Kind for custom in self._views.of_kind(kind)}
        return min(named - ours, default="")

    async def _tell_claim(self) -> None:
        source = self._cache.state.sources.get(self._source)
        claimant = source.value.claimant if source else ""
        if claimant and claimant != self._told:
            note = (
                f"the Namespace with uid {claimant} asks for source {self._source}, which this one has: give "
                f"the other cluster another kube.source, or, if it replaces this one, "
                f"`ddnsd source takeover {self._source}`"
            )
            _log.warning("kube.source_claimed", source=self._source, claimant=claimant)
            self._warn("SourceClaimed", note)
        self._told = claimant
