"""A process with a watchdog, for tests that stop it or hold it up: `python watched.py FOLDER`.

What it does with a line on stdin: `turn`: answer `turned`; `hold`: answer `held` and hold up the loop for
less than it may be; `sleep`: for longer; `give up`: be given up, and hang.
"""

import asyncio
import sys
from pathlib import Path

from ddnsd.app.watchdog import LastEnd, Watchdog
from ddnsd.telemetry.logging import configure
from tests.waiting import hold_up

TICK, TICKS = 0.05, 10


async def wait_for_nobody() -> None:
    await asyncio.Event().wait()


async def main(folder: Path) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    watchdog = Watchdog(LastEnd(folder, None).write, tick=TICK, ticks=TICKS)
    watchdog.start()
    waiting = asyncio.create_task(wait_for_nobody(), name="nobody")
    while line := (await reader.readline()).decode().strip():
        if line == "turn":
            print("turned", flush=True)
        elif line == "hold":
            hold_up(TICK * TICKS / 3)  # some ticks pass
            print("held", flush=True)
            hold_up(TICK * TICKS / 3)
        elif line == "sleep":
            hold_up(60)
        elif line == "give up":
            watchdog.give_up("nothing helped")
            watchdog.stop()
            await waiting
    watchdog.stop()


if __name__ == "__main__":
    configure("json", "info")
    asyncio.run(main(Path(sys.argv[1])))
