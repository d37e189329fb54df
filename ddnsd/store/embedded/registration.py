"""Registrations on the embedded store: plain keys. Whoever registered them lives as long as the store."""

import asyncio
from contextlib import suppress

from ddnsd.store import keys
from ddnsd.store.embedded.election import Commit
from ddnsd.store.embedded.plan import Items
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE, Done, UnavailableError, Update


class EmbeddedRegistration:
    """See `store.interface.Registration`; make it with `open`."""

    def __init__(self, commit: Commit, key: str) -> None:
        self._commit = commit
        self._key = key
        self._revision = 0  # of the last write

    @classmethod
    async def open(cls, commit: Commit, key: str, value: bytes) -> "EmbeddedRegistration":
        """Register a key.

        Raises:
            UnavailableError: not now.
        """
        registration = cls(commit, key)
        try:
            await registration.update(value)
        except asyncio.CancelledError:  # it may be written all the same, and nobody has it to close it
            await registration.close()
            raise
        return registration

    async def update(self, value: bytes) -> None:
        """Replace the value.

        Raises:
            UnavailableError: not now.
        """
        (outcome,) = await self._commit([Update({}, {self._key: value})])
        if not isinstance(outcome, Done):
            raise UnavailableError(f"{self._key} could not be written: {outcome}")
        self._revision = outcome.revision

    async def close(self) -> None:
        """Remove the key, unless somebody else has registered it since; idempotent."""
        expects = {self._key: self._revision} if self._revision else {}
        with suppress(UnavailableError):  # then the next opening does it
            await self._commit([Update(expects, deletes=frozenset({self._key}))])


async def remove_left_behind(commit: Commit, items: Items) -> None:
    """Remove what a process that died, or could not, has left: its registrations, its controllers' keys.

    Not now: later. The leader's key is removed by the next leader.
    """
    prefixes = (keys.member(""), keys.controllers(""))
    left = sorted(key for key in items if key.startswith(prefixes))
    with suppress(UnavailableError):
        for start in range(0, len(left), MAX_KEYS_PER_UPDATE):
            await commit([Update({}, deletes=frozenset(left[start : start + MAX_KEYS_PER_UPDATE]))])
