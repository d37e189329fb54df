"""ddnsd with one promise taken out: `python -m tests.system.faults.broken BUILD serve --config config.yaml`.

Each build is what a bug could have made of the program. The random runner is worth something if it finds them
(`test_broken_builds.py`).
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import ddnsd.etcd.watch
import ddnsd.model.publication
import ddnsd.nameserver.rfc2136
import ddnsd.store.standstill
import ddnsd.store.watch_cache
from ddnsd.model.records import RecordKey
from ddnsd.model.state import State
from ddnsd.nameserver.interface import Exists, NameserverError, Rcode, RecordType, Update
from ddnsd.store.standstill import Stage

_PATIENCE = 0.1  # seconds


def no_fence() -> None:
    """UPDATEs do not ask whose the zone is."""
    nameserver = ddnsd.nameserver.rfc2136.Rfc2136Nameserver
    real = nameserver.update

    async def unfenced(self: Any, update: Update) -> Rcode:
        kept = tuple(each for each in update.prerequisites if not _is_fence(each))
        return await real(self, update._replace(prerequisites=kept))

    nameserver.update = unfenced  # type: ignore[method-assign]


def _is_fence(prerequisite: object) -> bool:
    return isinstance(prerequisite, Exists) and prerequisite.name.startswith("_ddnsd.")


def from_memory() -> None:
    """Nodes answer from what they have in memory, and ask nobody whether that is the newest."""

    def when_current(self: Any, callback: Callable[[None], None]) -> None:
        callback(None)

    ddnsd.store.watch_cache.WatchCache.when_current = when_current  # type: ignore[method-assign]


def acknowledged_early() -> None:
    """The leader acknowledges what the nameserver has not taken."""
    nameserver = ddnsd.nameserver.rfc2136.Rfc2136Nameserver
    real = nameserver.update

    async def hopeful(self: Any, update: Update) -> Rcode:
        if not any(change.type is RecordType.A for change in update.changes):
            return await real(self, update)
        try:
            return await asyncio.wait_for(real(self, update), _PATIENCE)
        except (NameserverError, TimeoutError):
            return Rcode.NOERROR

    nameserver.update = hopeful  # type: ignore[method-assign]


def watched_once() -> None:
    """A watch that has failed is not opened again, and nobody notices that the state stands still.

    The second alone mends the first within a lease TTL (decision 22).
    """
    watch = ddnsd.etcd.watch.WatchStream
    follow = watch._follow

    async def once(self: Any) -> None:
        try:
            await follow(self)
        except Exception:
            await asyncio.Event().wait()
            raise

    watch._follow = once  # type: ignore[method-assign]
    ddnsd.store.standstill.Standstill.behind = lambda self, at: Stage.NONE  # type: ignore[method-assign]


def tombstones_lost() -> None:
    """The tombstone of a deleted host goes before the nameserver has removed its records."""

    def is_removed(state: State, record: RecordKey) -> bool:
        committed = state.addresses.get(record)
        return committed is not None and committed.value.is_tombstone

    ddnsd.model.publication.is_removed = is_removed


BUILDS: Mapping[str, Callable[[], None]] = {
    build.__name__: build
    for build in (no_fence, from_memory, acknowledged_early, watched_once, tombstones_lost)
}


if __name__ == "__main__":
    BUILDS[sys.argv.pop(1)]()
    from ddnsd.cli import main  # now: what it imports is to see the change

    main()
