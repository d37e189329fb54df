"""`python -m bench.cost`: what one hostile request costs, for every endpoint, parameter and filler.

The CPU time of this process, the client of the request in it and its log written to nowhere, with as much
filler as one parameter may have, and as the default `http.max_body` and `http.max_header` let in. The exit
status is 1 if a request takes more than 5 ms.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from ddnsd.telemetry import logging
from tests.web.hostile import KNOWN, MOST_IN_ONE, UNKNOWN, attacks, victim

_AT_MOST = 0.005  # seconds
_TOKENS = {"unknown": UNKNOWN, "known": KNOWN}
_WIDTH = 130


class Cost(NamedTuple):
    """What a request costs in seconds, with so many octets of filler and with half of them."""

    whole: float
    half: float
    octets: int
    title: str
    token: str


async def measure(times: int) -> Sequence[Cost]:
    """Return all costs, the highest first."""
    costs = []
    with tempfile.TemporaryDirectory(prefix="ddnsd-bench-") as folder:
        async with victim(Path(folder)) as there:
            for token, secret in _TOKENS.items():
                for attack in attacks():
                    for most in (MOST_IN_ONE, attack.most):
                        half = await there.cost(attack.message(secret, most // 2), times)
                        whole = await there.cost(attack.message(secret, most), times)
                        costs.append(Cost(whole, half, most, attack.title, token))
    return sorted(costs, reverse=True)


def table(costs: Sequence[Cost], shown: int) -> Table:
    """Return the table of the dearest."""
    title = f"the {shown} dearest of {len(costs)} kinds of requests; limit {1000 * _AT_MOST:g} ms of CPU"
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("endpoint, parameter, filler")
    drawn.add_column("token")
    for heading in ("octets", "ms", "with half of them", ""):
        drawn.add_column(heading, justify="right")
    for cost in costs[:shown]:
        met = "met" if cost.whole <= _AT_MOST else "not met"
        milliseconds = (f"{1000 * seconds:.2f}" for seconds in (cost.whole, cost.half))
        drawn.add_row(cost.title, cost.token, str(cost.octets), *milliseconds, met)
    return drawn


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="bench.cost", description=__doc__)
    parser.add_argument(
        "--times", type=int, default=5, help="requests of each kind, of which the least counts"
    )
    parser.add_argument("--shown", type=int, default=20, help="rows of the table")
    arguments = parser.parse_args()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        logging.configure("json", "info")
        costs = asyncio.run(measure(arguments.times))
    Console(width=_WIDTH).print(table(costs, arguments.shown))
    return int(costs[0].whole > _AT_MOST)


if __name__ == "__main__":
    sys.exit(main())
