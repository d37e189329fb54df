"""Clients like real ones: each has a host and a token of its own, and asks now and then (paced.lua)."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.load import WrongAnswerError, address
from ddnsd.model.resources import digest
from tests.rigs.documents import document
from tests.system.installation import SECRET, UPDATE, Installation

_SCRIPT = Path(__file__).with_name("paced.lua")
_ACCOUNTS = 10
_LAPS_PER_RUN = 1000  # more than any run can walk


class Latencies(NamedTuple):
    """How long answers took: microseconds, and how many of each."""

    counts: Counter[int]

    def and_(self, others: "Latencies") -> "Latencies":
        """Return these and others."""
        return Latencies(Counter(self.counts) + others.counts)

    def quantile(self, share: float) -> float:
        """Return the time within which such a share was answered, in milliseconds."""
        left = share * self.counts.total()
        for microseconds in sorted(self.counts):
            left -= self.counts[microseconds]
            if left <= 0:
                return microseconds / 1000
        return 0.0


class Paced(NamedTuple):
    """Clients that all do one thing: ask for the address that their hosts have, or for another each time."""

    zone: str
    connections: int
    hosts: int
    changes: bool
    pause: int  # milliseconds between an answer and the next request, on average

    def documents(self) -> Sequence[dict[str, Any]]:
        """Return the hosts, and their tokens and accounts."""
        numbers, account = range(self.hosts), self.zone.replace(".", "-")
        return [
            document("Zone", self.zone),
            *(document("Account", f"{account}-{number}") for number in range(_ACCOUNTS)),
            *(
                document("Host", f"h{number}.{self.zone}", account=f"{account}-{number % _ACCOUNTS}")
                for number in numbers
            ),
            *(
                document(
                    "Token",
                    f"{account}-{number}",
                    account=f"{account}-{number % _ACCOUNTS}",
                    sha256=digest(f"{self._secret}-{number}"),
                )
                for number in numbers
            ),
        ]

    async def settle(self, ddnsd: Installation) -> None:
        """Give each host the address that it keeps if it is not to change."""
        for number in range(self.hosts):
            reply = await ddnsd.update(f"h{number}.{self.zone}", address(0), f"{self._secret}-{number}")
            if reply.status != 200:
                raise WrongAnswerError(reply.message)

    async def run(self, endpoint: str, run: int, seconds: int) -> Latencies:
        """Ask for some seconds. `run` tells one run of changes from the others.

        Raises:
            WrongAnswerError: somebody was not told that all is well.
        """
        lap, step = (run * _LAPS_PER_RUN, 1) if self.changes else (0, 0)
        command = [
            *("wrk", "--threads", "1", "--connections", str(self.connections), "--duration", f"{seconds}s"),
            *("--timeout", "10s", "--script", str(_SCRIPT), f"http://{endpoint}", "--"),
            *(UPDATE, self.zone, str(self.hosts), str(lap), str(step), str(self.pause)),
        ]
        wrk = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "BENCH_TOKEN": self._secret},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await wrk.communicate()
        return _latencies(output.decode())

    @property
    def _secret(self) -> str:
        return f"{SECRET}-{self.zone}"


def _latencies(output: str) -> Latencies:
    lines = [line.split("\t") for line in output.splitlines()]
    result = next((line for line in lines if line[0] == "RESULT"), None)
    if result is None:
        raise WrongAnswerError(f"wrk failed:\n{output}")
    good, wrong, missing = map(int, result[1:4])
    if wrong or missing or not good:
        raise WrongAnswerError(f"{good} right answers, {wrong} wrong ones ({result[4]}), {missing} missing")
    return Latencies(Counter({int(line[1]): int(line[2]) for line in lines if line[0] == "SEEN"}))
