"""A won election."""

from collections.abc import Mapping

from ddnsd import etcd
from ddnsd.store.etcd.session import Session


class EtcdLeadership:
    """See `store.interface.Leadership`. It is over at the latest with the session that won it."""

    def __init__(self, session: Session, candidacy: etcd.Candidacy) -> None:
        self._session = session
        self._candidacy = candidacy

    @property
    def epoch(self) -> int:
        """Revision that created my election key."""
        return self._candidacy.epoch

    @property
    def guard(self) -> Mapping[str, int]:
        """What a commit expects in addition, so that it fails once I no longer lead."""
        return {self._session.space.name(self._candidacy.key): self.epoch}

    async def confirm(self) -> bool:
        """Ask etcd, linearizably, whether I still lead and nobody has written to my key.

        Raises:
            UnavailableError: it cannot be known now, or etcd was restored.
        """
        with self._session.translated():
            found = await self._session.client.get(self._candidacy.key)
        return found is not None and found.mod_revision == self.epoch and self._candidacy.leads

    async def lost(self) -> None:
        """Wait until leadership is over, by the monotonic clock before the lease can end."""
        await self._candidacy.lost()

    async def resign(self) -> None:
        """Give leadership up at once; idempotent."""
        await self._session.leave(self._candidacy)
