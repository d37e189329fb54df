"""What an operator decides about sources: who has a name, and whether suspicious deletions are meant."""

from collections.abc import Callable, Mapping

import msgspec

from ddnsd.model.records import HeldDeletions, Source
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import NotFoundError, RefusedError
from ddnsd.service.registry.turns import Turns
from ddnsd.service.source_status import SourceStatus, source_status


class Sources:
    """The names of Kubernetes clusters on this store.

    All methods raise `StoreFailedError` if the store cannot do it; those that name a source `NotFoundError`
    if it is not bound.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def list(self) -> Mapping[str, SourceStatus]:
        """Return all sources by name, those that are released and have left something too."""
        return await source_status((await self._turns.read()).state)

    async def takeover(self, name: str) -> Source:
        """Bind a name to the Namespace that has claimed it; return the new binding.

        Where none has, and its objects name another installation, this one replaces that.

        Raises:
            RefusedError: neither is so.
        """

        def decide(draft: Draft, source: Source) -> Source:
            if not source.claimant and source.other_installation:
                bound = msgspec.structs.replace(
                    source, other_installation="", replaced_installation=source.other_installation
                )
                draft.put_source(name, bound)
                return bound
            if not source.claimant:
                remedy = "start the controller that shall have it, then repeat this"
                raise RefusedError(f"nobody has asked for source {name}: {remedy}")
            bound = Source(source.claimant, draft.now)
            draft.put_source(name, bound)
            return bound

        return await self._change(name, decide)

    async def release(self, name: str) -> Source:
        """Free a name and all that was written under it, which stays as it is; return the old binding."""

        def decide(draft: Draft, source: Source) -> Source:
            draft.drop_source(name)
            return source

        return await self._change(name, decide)

    async def prune(self, name: str) -> HeldDeletions:
        """Allow the deletions that a source's controller holds now; return them.

        Raises:
            RefusedError: it holds none.
        """

        def decide(draft: Draft, source: Source) -> Source:
            if source.held is None:
                raise RefusedError(f"source {name} holds no deletions")
            allowed = msgspec.structs.replace(source, pruned=source.held.id)
            if allowed != source:
                draft.put_source(name, allowed)
            return allowed

        held = (await self._change(name, decide)).held
        assert held is not None
        return held

    async def _change(self, name: str, decide: Callable[[Draft, Source], Source]) -> Source:
        def decide_on_bound(draft: Draft) -> Source:
            source = draft.source(name)
            if source is None:
                raise NotFoundError(f"there is no source {name[:80]!r} that is bound")
            return decide(draft, source)

        decided, _ = await self._turns.take(decide_on_bound)
        return decided
