"""The store on etcd in a process of its own, on uvloop as a node is.

`python -m bench.store ENDPOINT`: for each line `FIGURE SECONDS` on standard input it prints a line with
what that came to, as JSON.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop

from bench.load import Rate, WrongAnswerError
from bench.sharing import open_sharing
from tests.rigs.etcd import EtcdRig, versions


class StoreProcess:
    """The running process; make it with `store_process`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def measure(self, figure: str, seconds: int) -> Rate:
        """Return what a method of `Sharing` came to.

        Raises:
            WrongAnswerError: the process ended: it says why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{figure} {seconds}\n".encode())
        answer = await self._process.stdout.readline()
        if not answer:
            raise WrongAnswerError(f"no figure of {figure}")
        return Rate(*json.loads(answer))


@asynccontextmanager
async def store_process() -> AsyncIterator[StoreProcess]:
    """Start an etcd of one member, its data in memory, and the process."""
    with EtcdRig(versions()[0]) as rig:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.store", rig.members[0].url, stdin=PIPE, stdout=PIPE
        )
        try:
            yield StoreProcess(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()


async def _serve(endpoint: str) -> None:
    async with open_sharing(endpoint) as sharing:
        measures = {act.__name__: act for act in (sharing.reads, sharing.gets, sharing.commits, sharing.txns)}
        while line := await asyncio.to_thread(sys.stdin.readline):
            figure, seconds = line.split()
            print(json.dumps(await measures[figure](float(seconds))), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1]))
