"""How the disk of the embedded store is: logged when it changes, counted every time it fails."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from ddnsd.store.embedded.sqlite import InDoubtError
from ddnsd.store.interface import FailureKind, Problem, UnavailableError, WriteFailure

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
    def failure(self) -> WriteFailure | None:
        """Why nothing can be written, as the last attempt showed; None if it can."""
        if not self._failing:
            return None
        return WriteFailure(Problem(self._failing, self._remedy), is_own=True)

    @property
    def problems(self) -> Iterator[Problem]:
        """What an operator should know."""
        if failure := self.failure:
            yield failure.problem
        if self._free < self._low:
            yield Problem(self._low_text, self._remedy)

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
