"""The items in an SQLite file, the folder of the file, and the thread that works on it.

An item is durable when `append` returns: write-ahead log with synchronous=FULL
(https://www.sqlite.org/pragma.html#pragma_synchronous). The file blocks and belongs to one thread, off the
loop; the folder is private, and of one process at a time. A disk in trouble is logged when it changes,
and counted each time.
"""

import asyncio
import fcntl
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TypeVar, TypeVarTuple

import structlog

from ddnsd import files
from ddnsd.store.interface import (
    CLOCK,
    FailureKind,
    KeyPage,
    KeyValue,
    Revision,
    StoreError,
    StoreProblem,
    UnavailableError,
)

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x64646E73  # "ddns": tells our files from other programs' (PRAGMA application_id)
_WAL_PAGES = 4096  # of 4 KiB between checkpoints: the default of 1000 has one every few groups

_SCHEMA = (
    "CREATE TABLE store (identity TEXT NOT NULL)",
    "CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL,"
    " created INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_PUT = (
    "INSERT INTO items (key, value, revision, created) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision,"
    " created = excluded.created"
)
_DELETE = "DELETE FROM items WHERE key = ?"
_IN_RANGE = "FROM items WHERE key >= ? AND key < ?"  # by UTF-8 octets, which is by code points
_RANGE = f"SELECT key, value, revision, created {_IN_RANGE}"
_COUNT = f"SELECT count(*) {_IN_RANGE}"
_LAST = "\U0010ffff"  # after all that keys are made of
_NEWEST = "SELECT revision FROM items WHERE key = ?"
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)  # primary codes: the low byte


class Contents(NamedTuple):
    """Everything in the file. The newest revision is that of the item `CLOCK`, always there."""

    identity: str
    items: dict[str, KeyValue]


class InDoubtError(Exception):
    """The commit failed in a way that leaves open whether it was applied: only `settle` can tell."""


class Database:
    """The open file. After an error in `append`, `settle` comes before the next one."""

    def __init__(self, path: Path) -> None:
        """Open the file; an empty one becomes a new store at revision 1.

        Raises:
            StoreError: not a store of this version, or damaged.
            UnavailableError: it cannot be read or written now.
        """
        self._path = path
        with self._opening():
            self._connection = _connect(path)
            try:
                _prepare(self._connection, path)
            except BaseException:
                self._connection.close()
                raise

    def load(self) -> Contents:
        """Return everything.

        Raises:
            StoreError: the file is damaged.
            UnavailableError: it cannot be read now.
        """
        with self._opening():
            (identity,) = self._connection.execute("SELECT identity FROM store").fetchone()
            rows = self._connection.execute("SELECT key, value, revision, created FROM items")
            return Contents(identity, {key: KeyValue(*rest) for key, *rest in rows})

    def page(self, prefix: str, limit: int, before: str, first: bool) -> KeyPage:
        """Return some of the keys under a prefix; see `store.interface.Store.page`.

        Raises:
            UnavailableError: the file cannot be read now.
        """
        span = (prefix, before or prefix + _LAST)
        order = "ASC" if first else "DESC"
        try:
            rows = self._connection.execute(
                f"{_RANGE} ORDER BY key {order} LIMIT ?", (*span, limit)
            ).fetchall()
            (total,) = self._connection.execute(_COUNT, span).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"reading {self._path}: {error}") from error
        return KeyPage(tuple((key, KeyValue(*rest)) for key, *rest in rows), total)

    def append(self, change: Revision) -> None:
        """Write a revision durably.

        Raises:
            UnavailableError: certainly not applied.
            InDoubtError: perhaps applied.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            changes = change.changes.items()
            self._connection.executemany(_PUT, [(key, *item) for key, item in changes if item])
            self._connection.executemany(_DELETE, [(key,) for key, item in changes if not item])
        except sqlite3.Error as error:
            raise UnavailableError(f"writing to {self._path}: {error}") from error
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            # A full disk cuts short the record that would commit; after other errors it may be whole.
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise UnavailableError(f"committing to {self._path}: {error}") from error
            raise InDoubtError(f"committing to {self._path}: {error}") from error

    def settle(self) -> int:
        """Decide what is in doubt: open the file anew and return its newest revision.

        A reader that comes after a crash would find what the log holds, so that counts; once it is
        copied to the main file and flushed it stays so.

        Raises:
            UnavailableError: it cannot be decided now.
        """
        try:
            self._connection.close()
            self._connection = _connect(self._path)
            busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            (revision,) = self._connection.execute(_NEWEST, (CLOCK,)).fetchone()
        except sqlite3.Error as error:
            raise UnavailableError(f"reopening {self._path} after an error: {error}") from error
        if busy:
            raise UnavailableError(f"reopening {self._path} after an error: another process reads it")
        return int(revision)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connection.close()

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in _DAMAGED:
                raise StoreError(
                    f"{self._path} is damaged or no SQLite file ({error}): "
                    "move it away, and put a backup in its place if there is one"
                ) from error
            raise UnavailableError(f"opening {self._path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is before anything is written to it; fill it if it is empty."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application, version, tables) == (0, 0, 0):
        _create(connection)
    elif application != _APPLICATION_ID:
        raise StoreError(f"{path} is another program's database: give ddnsd a folder of its own")
    elif version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version}, this ddnsd knows only {SCHEMA_VERSION}: "
            "run the version of ddnsd that wrote it, or a newer one"
        )


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # kept in the file; not possible in a transaction
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO store (identity) VALUES (?)", (uuid.uuid4().hex,))
    connection.execute(_PUT, (CLOCK, b"", 1, 1))
    connection.execute("COMMIT")


class Folder:
    """The locked folder of an open store. The lock ends with the process, however it dies."""

    def __init__(self, path: Path) -> None:
        """Create the folder (mode 0700) and its database file (0600) where missing, and lock it.

        Raises:
            StoreError: another process, or another store of this one, holds it.
            UnavailableError: the folder cannot be made or written.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.create(self.database)  # for its owner only: SQLite would let all read it
            self._lock = _lock(path)
        except OSError as error:
            raise UnavailableError(
                f"the data folder {path} cannot be used ({error.strerror or error}): let {files.myself()} "
                "write there, or name another folder with `data` in config.yaml, or DDNSD_DATA"
            ) from error

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "ddnsd.db"

    @property
    def size(self) -> int:
        """The bytes of the SQLite file and its companions."""
        return sum(file.stat().st_size for file in self.path.glob(f"{self.database.name}*"))

    def flush(self) -> None:
        """Make the database durable as it is, before anybody reads what a killed process did not flush.

        Raises:
            UnavailableError: that fails.
        """
        try:
            for file in self.path.glob(f"{self.database.name}*"):
                _sync(file)
        except OSError as error:
            raise UnavailableError(f"the data folder {self.path} cannot be used: {error}") from error

    @property
    def locked(self) -> bool:
        """Say whether the folder is still ours."""
        return not self._lock.closed

    def unlock(self) -> None:
        """Let another process have the folder; idempotent."""
        self._lock.close()


def _sync(path: Path) -> None:
    """Make a file's content durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(folder: Path) -> IO[str]:
    file = os.fdopen(files.open_own(folder / "lock"), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except BlockingIOError as error:
        raise StoreError(
            f"the data folder {folder} is in use by another process (pid {_holder(file)}): "
            "stop that process, or give this one a folder of its own"
        ) from error
    except OSError:
        file.close()
        raise
    return file


def _holder(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read().strip() or "unknown"


_log = structlog.get_logger(__name__)

LOW = 0.05
"""The share of its file system below which free space is told."""


class DiskHealth:
    """What is wrong with the disk now. Lives as long as the store."""

    def __init__(self, folder: Path, low: float = LOW) -> None:
        """`low` is the share of free space, 0 to 1, from which on it is told that it ends."""
        self._folder = folder
        self._low = low
        self._failing = ""  # why nothing can be written; "" while it can
        self._free = 1.0  # share of the file system
        self._count: Callable[[FailureKind], None] = lambda _: None

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        """Call this at each failure from now on."""
        self._count = count

    @property
    def failure(self) -> StoreProblem | None:
        """Why nothing can be written, as the last attempt showed; None if it can."""
        if not self._failing:
            return None
        return StoreProblem(self._failing, self._remedy, is_own=True)

    @property
    def problems(self) -> Iterator[StoreProblem]:
        """What an operator should know."""
        if failure := self.failure:
            yield failure
        if self._free < self._low:
            yield StoreProblem(self._low_text, self._remedy, is_own=True)

    @contextmanager
    def noted(self, *, writes: bool = True) -> Iterator[None]:
        """Note whether what is done meanwhile fails; that it does not is proof only if it `writes`."""
        try:
            yield
        except (UnavailableError, InDoubtError) as error:
            self._count(FailureKind.DISK)
            if not self._failing:
                _log.error("store.failing", kind=FailureKind.DISK, reason=str(error), remedy=self._remedy)
            self._failing = str(error)
            raise
        if self._failing and writes:
            self._failing = ""
            _log.info("store.recovered", kinds=[str(FailureKind.DISK)])

    def note_free(self, share: float) -> None:
        """Note which share of the file system is free."""
        was_low, self._free = self._free < self._low, share
        if share < self._low and not was_low:
            _log.warning("store.space_low", reason=self._low_text, remedy=self._remedy)
        elif was_low and share >= self._low:
            _log.info("store.space_enough", free=round(share, 3))

    @property
    def _low_text(self) -> str:
        return f"the file system of {self._folder} has {self._free:.1%} of its space left"

    @property
    def _remedy(self) -> str:
        return (
            f"make room on the file system of {self._folder} (`df -h {self._folder}`), or see that it can be "
            "written; ddnsd goes on by itself"
        )


def free_share(folder: Path) -> float:
    """Return which share of a folder's file system its users can still fill; 1 where nobody can tell."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 1.0
    usable = found.f_blocks - found.f_bfree + found.f_bavail  # as df counts: without what is root's
    return found.f_bavail / usable if usable else 1.0


Args = TypeVarTuple("Args")
Result = TypeVar("Result")


class Disk:
    """A locked folder and its database, on a thread of their own. One call at a time."""

    def __init__(self, worker: ThreadPoolExecutor, folder: Folder, database: Database) -> None:
        self.folder = folder
        self.database = database
        self._worker = worker

    async def run(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        """Call a function of the database on the thread; it raises what that raises."""
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *args)

    async def free_share(self) -> float:
        """Return which share of the folder's file system is free; 1 once it is closed."""
        if not self.folder.locked:
            return 1.0
        return await self.run(free_share, self.folder.path)

    async def close(self) -> None:
        """Close the database and unlock the folder; idempotent."""
        if not self.folder.locked:
            return
        await self.run(self.database.close)
        self.folder.unlock()
        self._worker.shutdown(wait=False)


async def open_disk(path: Path) -> tuple[Disk, Contents]:
    """Lock the folder, open the database in it and read it whole; errors as `open_embedded`."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="embedded store")
    try:
        opening = asyncio.get_running_loop().run_in_executor(worker, _open, path)
        folder, database, contents = await opening
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
