"""The disk work of one store, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from ddnsd.store.embedded.folder import Folder
from ddnsd.store.embedded.health import free_share
from ddnsd.store.embedded.sqlite import Contents, Database
from ddnsd.store.interface import Page, Revision

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """A locked folder and its database, on a thread of their own. One call at a time."""

    def __init__(self, worker: ThreadPoolExecutor, folder: Folder, database: Database) -> None:
        self.folder = folder
        self._worker = worker
        self._database = database

    async def append(self, change: Revision) -> None:
        """Write a revision durably; errors as `Database.append`."""
        await _run(self._worker, self._database.append, change)

    async def page(self, prefix: str, limit: int, before: str, *, first: bool) -> Page:
        """Read some of the keys under a prefix; errors as `Database.page`."""
        return await _run(self._worker, self._database.page, prefix, limit, before, first=first)

    async def settle(self) -> int:
        """Decide what is in doubt and return the newest revision; errors as `Database.settle`."""
        return await _run(self._worker, self._database.settle)

    async def free_share(self) -> float:
        """Return which share of the folder's file system is free; 1 once it is closed."""
        if not self.folder.locked:
            return 1.0
        return await _run(self._worker, free_share, self.folder.path)

    async def close(self) -> None:
        """Close the database and unlock the folder; idempotent."""
        if not self.folder.locked:
            return
        await _run(self._worker, self._database.close)
        self.folder.unlock()
        self._worker.shutdown(wait=False)


async def open_disk(path: Path) -> tuple[Disk, Contents]:
    """Lock the folder, open the database in it and read it whole; errors as `open_embedded`."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="embedded store")
    try:
        folder, database, contents = await _run(worker, _open, path)
    except BaseException:
        worker.shutdown(wait=False)
        raise
    return Disk(worker, folder, database), contents


def _open(path: Path) -> tuple[Folder, Database, Contents]:
    folder = Folder(path)
    try:
        folder.flush()
        database = Database(folder.database)
        return folder, database, database.load()
    except BaseException:
        folder.unlock()
        raise


async def _run(worker: ThreadPoolExecutor, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(worker, partial(function, *args, **named))
