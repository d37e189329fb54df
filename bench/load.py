"""HTTP load from wrk, which is not Python; every answer is checked (load.lua)."""

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from tests.system.installation import SECRET, UPDATE

CONNECTIONS = 64
_SCRIPT = Path(__file__).with_name("load.lua")
_TIMEOUT_SECONDS = 10  # for one answer; the contract's own deadline comes before


class WrongAnswerError(Exception):
    """What was measured did not do what it was measured for."""


class Walk(NamedTuple):
    """Which requests: hosts `<prefix>0` to `<prefix><hosts-1>` of `zone`, lap after lap.

    `lap` is the first lap's address (`address`), `step` what each further lap adds to it; `updated` is
    what every answer must say.
    """

    zone: str
    prefix: str
    hosts: int
    lap: int
    step: int
    updated: bool


class Rate(NamedTuple):
    """What one round came to. `p50` and `p99` are seconds from request to answer, 0 where nobody asked."""

    per_second: float
    p50: float = 0.0
    p99: float = 0.0


def address(lap: int) -> str:
    """Return the address that load.lua asks for in a lap."""
    return f"10.{lap >> 16 & 255}.{lap >> 8 & 255}.{lap & 255}"


async def load(endpoint: str, walk: Walk, seconds: int) -> Rate:
    """Send requests over 64 connections for some seconds, as fast as they are answered.

    Raises:
        WrongAnswerError: an answer was not the one expected, or missing.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"),
        *("--timeout", f"{_TIMEOUT_SECONDS}s", "--script", str(_SCRIPT), f"http://{endpoint}", "--"),
        *(UPDATE, walk.zone, walk.prefix, str(walk.hosts), str(walk.lap), str(walk.step)),
        "true" if walk.updated else "false",
    ]
    wrk = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "BENCH_TOKEN": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await wrk.communicate()
    return _rate(output.decode())


def _rate(output: str) -> Rate:
    result = next((line for line in output.splitlines() if line.startswith("RESULT\t")), None)
    if result is None:
        raise WrongAnswerError(f"wrk failed:\n{output}")
    _, *numbers, sample = result.split("\t")
    good, wrong, microseconds, errors, p50, p99 = map(int, numbers)
    if wrong or errors or not good:
        raise WrongAnswerError(f"{good} right answers, {wrong} wrong ones ({sample}), {errors} missing")
    return Rate(good / (microseconds / 1e6), p50 / 1e6, p99 / 1e6)
