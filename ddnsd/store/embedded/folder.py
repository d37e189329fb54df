"""The data folder: private, and of one process at a time."""

import fcntl
import os
from pathlib import Path
from typing import IO

from ddnsd import files
from ddnsd.store.interface import LockedError, UnavailableError


class Folder:
    """The locked folder of an open store. The lock ends with the process, however it dies."""

    def __init__(self, path: Path) -> None:
        """Create the folder (mode 0700) and its database file (0600) where missing, and lock it.

        Raises:
            LockedError: another process, or another store of this one, holds it.
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
        raise LockedError(
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
