"""The items in an SQLite file: durable when `append` returns.

Write-ahead log with synchronous=FULL: each commit is flushed to the disk before it is answered
(https://www.sqlite.org/pragma.html#pragma_synchronous). Everything here blocks and belongs to one thread.
"""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ddnsd.store.interface import CLOCK, FormatError, KeyValue, Page, Revision, UnavailableError

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
            FormatError: not a store of this version, or damaged.
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
            FormatError: the file is damaged.
            UnavailableError: it cannot be read now.
        """
        with self._opening():
            (identity,) = self._connection.execute("SELECT identity FROM store").fetchone()
            rows = self._connection.execute("SELECT key, value, revision, created FROM items")
            return Contents(identity, {key: KeyValue(*rest) for key, *rest in rows})

    def page(self, prefix: str, limit: int, before: str, *, first: bool) -> Page:
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
        return Page(tuple((key, KeyValue(*rest)) for key, *rest in rows), total)

    def append(self, change: Revision) -> None:
        """Write a revision durably.

        Raises:
            UnavailableError: certainly not applied.
            InDoubtError: perhaps applied.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_PUT, ((key, *item) for key, item in change.events if item))
            self._connection.executemany(_DELETE, ((key,) for key, item in change.events if not item))
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
                raise FormatError(
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
        raise FormatError(f"{path} is another program's database: give ddnsd a folder of its own")
    elif version != SCHEMA_VERSION:
        raise FormatError(
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
