"""A process that commits as fast as it can and prints each answered commit: key, value, revision."""

import asyncio
import os
import sys
from pathlib import Path

from ddnsd.store.embedded import open_embedded
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import ConditionalWrite, Done
from tests.store.contract.actions import group_commit

CALLERS = 8


async def count(commits: GroupCommit, key: str, value: int, revision: int) -> None:
    while True:
        value += 1
        outcome = await commits.commit(ConditionalWrite({key: revision}, {key: b"%d" % value}))
        assert isinstance(outcome, Done), outcome
        revision = outcome.revision
        os.write(1, f"{key} {value} {revision}\n".encode())


async def main(folder: Path) -> None:
    store = await open_embedded(folder)
    commits = group_commit(store)
    items = (await store.snapshot("counters/")).items
    async with asyncio.TaskGroup() as callers:
        for key in (f"counters/{number}" for number in range(CALLERS)):
            value, revision = (int(items[key].value), items[key].revision) if key in items else (0, 0)
            callers.create_task(count(commits, key, value, revision))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
