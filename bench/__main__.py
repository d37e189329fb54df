"""`python -m bench [--quick]`: measure and print the table.

The exit status is 1 if an answer was wrong, never because a target was missed: a machine that is busy
with something else is no mistake of the program's.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from bench.course import Course, Plan
from bench.load import WrongAnswerError
from bench.table import Samples, table

_FULL = Plan(rounds=5, seconds=3, names=2000, backlog=10_000, singles=500)
_QUICK = Plan(rounds=2, seconds=1, names=500, backlog=2000, singles=200)
_WIDTH = 130  # also where the output is no terminal


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute, for a first look")
    plan = _QUICK if parser.parse_args().quick else _FULL
    try:
        samples = asyncio.run(_measure(plan))
    except WrongAnswerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    console = Console(width=_WIDTH)
    console.print(table(samples))
    console.print(f"{plan.rounds} rounds; {os.cpu_count()} cores, Python {platform.python_version()}")
    return 0


async def _measure(plan: Plan) -> Samples:
    with tempfile.TemporaryDirectory(prefix="ddnsd-bench-") as folder:
        async with AsyncExitStack() as stack:
            course = await Course.start(plan, Path(folder), stack)
            return await course.run()


if __name__ == "__main__":
    sys.exit(main())
