"""The leader's own notes about a site, in the store: that it publishes there, and how that stands."""

from ddnsd.leader.mandate import DeposedError, Mandate
from ddnsd.model.publication import is_verified
from ddnsd.model.records import Entry, Footprint, Site
from ddnsd.store import codec, keys
from ddnsd.store.interface import Done, Stale, UnavailableError


class Footprints:
    """Reads and writes `fences/<zone>/<nameserver>`. Only the leader writes it."""

    def __init__(self, site: Site, mandate: Mandate) -> None:
        self._site = site
        self._mandate = mandate
        self._key = keys.footprint(site)

    @property
    def is_verified(self) -> bool:
        """Say whether `published` is known to tell the truth about the site."""
        return is_verified(self._mandate.state, self._site)

    @property
    def value(self) -> Footprint:
        """What is noted about the site; of a new one, that nothing was sent there yet."""
        entry = self._entry
        return entry.value if entry else Footprint(untouched=True)

    async def verify(self) -> None:
        """Note that all is well at the site, and known. Raises as `write` does."""
        await self.write(Footprint(verified_in=self._mandate.owner.cluster))

    async def write(self, footprint: Footprint) -> None:
        """Make the footprint this, durably; return when this node's state shows it.

        Raises:
            DeposedError: this node does not lead.
            UnavailableError: the store cannot take it now.
        """
        entry = self._entry
        if entry is None or entry.value != footprint:
            await self._commit(puts={self._key: codec.encode(footprint)})

    async def delete(self) -> None:
        """Forget the site. Raises as `write` does."""
        if self._entry is not None:
            await self._commit(deletes=frozenset({self._key}))

    @property
    def _entry(self) -> Entry[Footprint] | None:
        return self._mandate.state.footprints.get(self._site)

    async def _commit(self, **change: object) -> None:
        entry = self._entry
        expects = {self._key: entry.revision if entry else 0}
        outcome = await self._mandate.commit(expects, **change)  # type: ignore[arg-type]
        if isinstance(outcome, Stale) and not await self._mandate.leadership.confirm():
            raise DeposedError(f"another node leads; this one was writing {self._key}")
        await self._mandate.cache.current()
        if not isinstance(outcome, Done):
            raise UnavailableError(f"{self._key} could not be written: {outcome!r}")
