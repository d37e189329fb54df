"""One process's part in one election: the leader's, and that of each source's Kubernetes controllers.

Stand for election, work while elected, resign whatever happens, stand again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn

from ddnsd.aio import run_until
from ddnsd.model.records import Candidacy
from ddnsd.store import tables
from ddnsd.store.interface import Leadership, Store


class Elector:
    """Stands in an election whenever this process is fit for it. Run `run()` as a task of its own."""

    def __init__(
        self,
        store: Store,
        election: str,
        me: str,
        work: Callable[[Leadership], Coroutine[Any, Any, None]],
        *,
        resigned: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`me` is this process's id among the members; `work` is run while it is elected, and cancelled once
        that ends; `resigned` is called with the epoch after each resignation.
        """
        self._store = store
        self._election = election
        self._me = me
        self._work = work
        self._resigned = resigned

    async def run(
        self,
        *,
        fit: Callable[[], Awaitable[None]],
        unfit: Callable[[], Coroutine[Any, Any, None]],
        retry_on: type[Exception] | tuple[type[Exception], ...],
        failed: Callable[[Exception], float],
    ) -> NoReturn:
        """Wait until this process is `fit` and stand until it is `unfit`, again and again. Never returns.

        What `fit`, the election or the work raises of `retry_on`, by itself or in a group, is handed to
        `failed`, which returns in how many seconds to go on; any other exception ends the run.
        """
        while True:
            pause = 0.0
            try:
                await fit()
                await run_until(unfit(), self._stand())
            except* retry_on as errors:
                pause = failed(first_failure(errors))
            await asyncio.sleep(pause)

    async def _stand(self) -> None:
        """Campaign, then work: in one task, as a cancellation between would leave a key that leads."""
        leadership = await self._store.campaign(tables.encode(Candidacy(self._me)), self._election)
        try:
            await run_until(leadership.lost(), self._work(leadership))
        finally:
            await leadership.resign()
            self._resigned(leadership.epoch)


def first_failure(errors: BaseExceptionGroup[Exception]) -> Exception:
    """Return the first failure, in whatever groups it is."""
    error = errors.exceptions[0]
    return first_failure(error) if isinstance(error, BaseExceptionGroup) else error
