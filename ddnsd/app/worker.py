"""A worker: one of the processes of a node that has several."""

from pathlib import Path
from typing import NamedTuple


class Worker(NamedTuple):
    """What tells a worker from its siblings, and ties it to their parent.

    `siblings` are the numbers of the others. `folder` holds what they share, such as a Unix socket for each.
    `lifeline` is a file descriptor to read from: it ends when all are to leave, also because `parent`, a
    process id, was killed.
    """

    number: int
    siblings: tuple[int, ...]
    folder: Path
    lifeline: int
    parent: int

    def socket_path(self, number: int) -> Path:
        """Return the Unix socket of a worker."""
        return self.folder / str(number)

    @property
    def retired_path(self) -> Path:
        """The file that is there once all workers have been told to retire."""
        return self.folder / "retired"
