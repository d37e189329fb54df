"""Changes of resources, one at a time in the whole cluster.

Every change compares and writes one key, `registry`. So whatever was read of other resources (does
the account exist, does this new zone take hosts over, how many hosts has this zone) is still so when
the change is committed, whoever else is at work; and one commit has room for 100 documents, since
what they refer to need not be compared. Updates of addresses neither read nor write the key.
"""

import asyncio
import copy
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from ddnsd.model.audit import Author
from ddnsd.service.registry.audited import Auditor
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import StoreFailedError
from ddnsd.store.commit import GroupCommit
from ddnsd.store.interface import Done, StoreError, Unknown, Update
from ddnsd.store.snapshot import WatchCache

T = TypeVar("T")


class Turns:
    """Decides on the current state and commits, again and again until the two agree."""

    def __init__(self, cache: WatchCache, commits: GroupCommit, timeout: float) -> None:
        """`timeout` bounds each turn, in seconds."""
        self.cache = cache
        self._commits = commits
        self._timeout = timeout
        self._turn = asyncio.Lock()  # callers of this node would only make each other stale
        self._auditor = Auditor(Author(""))

    def audited(self, auditor: Auditor) -> "Turns":
        """Return the same, whose changes this one notes."""
        turns = copy.copy(self)
        turns._auditor = auditor
        return turns

    @property
    def author(self) -> Author:
        """Whose changes they are."""
        return self._auditor.author

    def reconfigure(self, timeout: float) -> None:
        """Bound it by another time, in seconds, from now on."""
        self._timeout = timeout

    async def read(self) -> Draft:
        """Return an empty draft on the current state.

        Raises:
            StoreFailedError: the state could not be made current.
        """
        try:
            return await self._draft()
        except StoreError as error:
            raise StoreFailedError(f"the store cannot be read now ({error}): try again") from error

    async def take(self, decide: Callable[[Draft], T]) -> tuple[T, int]:
        """Commit what `decide` puts into a draft; return what it returned, and the commit's revision.

        `decide` is called again whenever something was changed meanwhile. With an empty draft
        nothing is committed, and the revision is 0.

        Raises:
            StoreFailedError: not done, or perhaps done; and whatever `decide` raises.
        """
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                return await self._until_done(decide)
        except TimeoutError as error:
            message = f"no answer of the store in {self._timeout:g} s: perhaps done: look before you repeat"
            raise StoreFailedError(message) from error
        except StoreError as error:
            raise StoreFailedError(f"the store cannot do it now ({error}): try again") from error

    async def _until_done(self, decide: Callable[[Draft], T]) -> tuple[T, int]:
        while True:
            draft = await self._draft()
            decided = decide(draft)
            if draft.is_empty:
                return decided, 0
            noted = self._auditor.note(draft)
            revision = await self._commit(draft.update({noted.key: noted.value} if noted else {}))
            if revision is not None:
                if noted:
                    self._auditor.committed(noted)
                return decided, revision

    async def _draft(self) -> Draft:
        await self.cache.current()
        return Draft(self.cache.state, datetime.now(UTC), secrets.token_hex(9))

    async def _commit(self, update: Update) -> int | None:
        """Return the revision at which the update was done, None if it was not.

        Raises:
            StoreFailedError: perhaps it was.
        """
        outcome = await self._commits.commit(update)
        if isinstance(outcome, Unknown):
            message = f"the store's answer was lost ({outcome.reason}): perhaps done: look before you repeat"
            raise StoreFailedError(message)
        return outcome.revision if isinstance(outcome, Done) else None
