"""Clients of a release, by its Service: half keep their connection, half connect for each update."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ddnsd.aio import wait_for
from tests.system.http import Client
from tests.system.installation import UPDATE
from tests.system.load import UPDATED, address
from tests.waiting import until

_PAUSE = 0.05  # seconds between an answer and the next update: steady, not all that the machine can do
_PATIENCE = 10.0  # seconds that a client waits for its answer


class Clients:
    """One for each host, which counts its address up.

    `answers` has what they were told and how often, `lost` what got no answer.
    """

    def __init__(self, service: str, secret: str, hosts: Sequence[str]) -> None:
        """`service` is its `host:port`."""
        self.answers: Counter[str] = Counter()
        self.lost: list[str] = []
        self.done = dict.fromkeys(hosts, 0)  # the newest number answered as published
        self._leaving = asyncio.Event()
        self._service = service
        self._secret = secret

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Run them during the block, which begins when each has got through; then none may have failed."""
        runs = (self._run(host, number % 2 == 0) for number, host in enumerate(self.done))
        tasks = [asyncio.create_task(run) for run in runs]
        try:
            await until(self._all_have_begun, 10, "each client has got through")
            yield
            await self.get_on()
        finally:
            self._leaving.set()  # each hears its last answer, so that `done` is what has to be served
            await asyncio.gather(*tasks)
        assert not self.lost, self.lost
        assert self.answers.keys() == {UPDATED}, self.answers

    async def get_on(self, updates: int = 20) -> None:
        """Wait until there are so many answers more."""
        before = self.answers.total()

        async def are_answered() -> bool:
            return self.answers.total() >= before + updates

        await until(are_answered, 20, f"{updates} more answers, not {self.lost}")

    async def _all_have_begun(self) -> bool:
        return all(self.done.values())

    async def _run(self, host: str, keeps: bool) -> None:
        client = Client(self._service)
        try:
            while not await wait_for(self._leaving, _PAUSE):
                await self._update(client, host)
                if not keeps:
                    await client.close()
        finally:
            await client.close()

    async def _update(self, client: Client, host: str) -> None:
        number = self.done[host] + 1
        try:
            async with asyncio.timeout(_PATIENCE):
                reply = await client.get(UPDATE, domain=host, ip=address(number), token=self._secret)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.lost.append(f"{host}: {error!r}")
            return
        self.answers[reply.message] += 1
        self.done[host] = number
