"""Run a cluster on this machine, and print what to try with it: the work of `make cluster`."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from example import load_example
from guide import introduction, report
from parts import Cluster, Layout, LayoutError, NotStartedError

_PACKAGES = {"etcd": "etcd-server", "named": "bind9"}
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN = signal.SIGUSR1


def main(root: Path) -> int:
    """Return the exit status."""
    # Debian has named where only root looks for programs.
    environ = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    try:
        check_programs(environ["PATH"])
        asyncio.run(run(Cluster(Layout.find(root, environ), environ)))
    except (LayoutError, NotStartedError, subprocess.CalledProcessError) as error:
        print(f"make cluster: {error}", file=sys.stderr)
        return 1
    return 0


def check_programs(path: str) -> None:
    missing = [program for program in _PACKAGES if shutil.which(program, path=path) is None]
    if missing:
        packages = " ".join(_PACKAGES[program] for program in missing)
        remedy = f"sudo apt-get install --no-install-recommends {packages}"
        raise NotStartedError(f"{' and '.join(missing)} missing: {remedy}")


async def run(cluster: Cluster) -> None:
    """Live until a signal says so, and leave nothing behind.

    Raises:
        NotStartedError, CalledProcessError: a part does not start, or the example is refused.
    """
    ending = asyncio.Event()
    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    living = asyncio.create_task(live(cluster))
    ended = asyncio.create_task(ending.wait())
    await asyncio.wait([living, ended], return_when=asyncio.FIRST_COMPLETED)
    living.cancel()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await living
    finally:
        await cluster.end()


async def live(cluster: Cluster) -> None:
    """Start it, say what to try, then what happens to its parts."""
    await cluster.start()
    if not cluster.layout.token_file.exists():
        await asyncio.to_thread(
            load_example, cluster.nodes[0].admin, cluster.layout.token_file, cluster.environ
        )
    leader = await cluster.leader()
    if leader is None:
        raise NotStartedError(f"no node leads: see the logs in {cluster.layout.data}")
    print(introduction(cluster, leader), flush=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tell(cluster))
        tasks.create_task(start_again(cluster))


async def tell(cluster: Cluster) -> None:
    """Say what ended."""
    while True:
        ended = await cluster.ended.get()
        print(report(cluster, ended, await cluster.leader()), flush=True)


async def start_again(cluster: Cluster) -> None:
    """Start what ended, whenever a signal asks for it."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(_AGAIN, asked.set)
    while await asked.wait():
        asked.clear()
        try:
            await cluster.start()
        except NotStartedError as error:
            print(error, flush=True)
        else:
            print("All parts run.", flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
