"""A node's registry on a real embedded store, and what its tests say of addresses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ddnsd.model.addresses import Family, RRType
from ddnsd.model.records import Committed, History, HistoryEntry, RecordKey, revision_of
from ddnsd.service.registry import Registry
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import ConditionalWrite, Done, Store
from tests.rigs.documents import document
from tests.rigs.parts import Parts, at_work, parts_on

NAMESERVERS = ("default", "second")
TIMEOUT = 20.0


@dataclass
class Node(Parts):
    """One node of an installation."""

    registry: Registry

    async def commit_address(self, name: str, ip: str, family: RRType = Family.A) -> None:
        """Do what an update of a client's does: commit an address that depends on its host."""
        await self.cache.current()
        record = RecordKey(name, family)
        host, old = self.cache.state.hosts[name], self.cache.state.addresses.get(record)
        key = keys.address(record)
        value = tables.encode(Committed(ip, "", "test", datetime.now(UTC)))
        update = ConditionalWrite({host.key: host.revision, key: revision_of(old)}, {key: value})
        assert isinstance(await self.commits.commit(update), Done)

    async def address(self, name: str, family: Family = Family.A) -> Committed | None:
        """Return what is committed for a name."""
        await self.cache.current()
        entry = self.cache.state.addresses.get(RecordKey(name, family))
        return entry.value if entry else None

    async def note_changes(self, name: str, *changes: HistoryEntry) -> None:
        """Write a host's history, oldest first."""
        entries = tuple(msgspec.Raw(msgspec.json.encode(change)) for change in changes)
        update = ConditionalWrite({}, {keys.history(name): tables.encode(History(entries))})
        assert isinstance(await self.commits.commit(update), Done)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for the first revision at which the state fulfils the condition."""
        fulfilled = asyncio.Event()
        end = self.cache.subscribe(lambda _: fulfilled.set() if condition() else None)
        if not condition():
            await asyncio.wait_for(fulfilled.wait(), TIMEOUT)
        end()

    async def remove_tombstone(self, name: str, family: Family = Family.A) -> None:
        """Do what the leader does when the records have left the nameserver."""
        key = keys.address(RecordKey(name, family))
        await self.commits.commit(ConditionalWrite({}, {}, frozenset({key})))


@asynccontextmanager
async def node_on(store: Store) -> AsyncIterator[Node]:
    """Run a node on a store; several may share one."""
    parts = parts_on(store, TIMEOUT)
    registry = Registry(parts.cache, parts.commits, nameservers=NAMESERVERS, timeout=TIMEOUT)
    async with at_work(parts):
        yield Node(**vars(parts), registry=registry)


@asynccontextmanager
async def single_node(folder: Path) -> AsyncIterator[Node]:
    """Run a node on a store of its own."""
    store = await open_embedded(folder)
    await installation_owner(store)  # so that there is one
    try:
        async with node_on(store) as node:
            yield node
    finally:
        await store.close()


def zone(name: str, **spec: Any) -> dict[str, Any]:
    return document("Zone", name, **spec)


def account(name: str, **spec: Any) -> dict[str, Any]:
    return document("Account", name, **spec)


def host(name: str, owner: str = "alice", **spec: Any) -> dict[str, Any]:
    return document("Host", name, account=owner, **spec)


def token(name: str, digit: str, owner: str = "alice", **spec: Any) -> dict[str, Any]:
    return document("Token", name, account=owner, sha256=digit * 64, **spec)
