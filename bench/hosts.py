"""The names that a load walks through: some move in every lap, some rest."""

import asyncio
from typing import NamedTuple

from bench.load import CONNECTIONS, Walk, WrongAnswerError, address
from tests.system.installation import Installation, example

_CHANGING, _RESTING = "moves", "rests"  # prefixes of host names
_LAPS_PER_ROUND = 1000  # more than any round can walk
_IP = address(0)


class Hosts(NamedTuple):
    """`number` names of each sort in a zone."""

    zone: str
    number: int

    async def make(self, ddnsd: Installation) -> None:
        """Create them, with an account and a token."""
        prefixes = (_CHANGING, _RESTING)
        names = [f"{prefix}{number}.{self.zone}" for prefix in prefixes for number in range(self.number)]
        await ddnsd.apply(*example(names, self.zone))

    async def settle(self, ddnsd: Installation) -> bytes:
        """Give each resting name the address that it then keeps; return an answer for an unchanged one.

        Raises:
            WrongAnswerError: it does not get it.
        """
        gate = asyncio.Semaphore(CONNECTIONS)

        async def settle(number: int) -> None:
            async with gate:
                reply = await ddnsd.update(f"{_RESTING}{number}.{self.zone}", _IP)
            if reply.status != 200:
                raise WrongAnswerError(reply.message)

        await asyncio.gather(*map(settle, range(self.number)))
        return (await ddnsd.update(f"{_RESTING}0.{self.zone}", _IP)).body

    def changing(self, round: int) -> Walk:
        """Return a walk that changes a name with each request."""
        return Walk(self.zone, _CHANGING, self.number, round * _LAPS_PER_ROUND, step=1, updated=True)

    def resting(self) -> Walk:
        """Return a walk that changes nothing."""
        return Walk(self.zone, _RESTING, self.number, lap=0, step=0, updated=False)
