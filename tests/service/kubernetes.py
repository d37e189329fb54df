"""A Kubernetes cluster called prod, as its controller puts it into a node's store."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ddnsd.model.records import Candidacy, Entry, HeldDeletions, Resource
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, Origin, TokenSpec, ZoneSpec, qualified
from ddnsd.service.documents import Document
from ddnsd.service.registry import SourcedRegistry
from ddnsd.store import keys, tables
from tests.service.registry_node import NAMESERVERS, TIMEOUT, Node

CLUSTER = Origin("prod")
HOME = Origin("prod", "home")
OFFICE = Origin("prod", "office")
ALICE = qualified(HOME, "alice")
BLOG = "blog.example.com"
HELD = HeldDeletions("id-1", 12, ("Host a.example.com",), datetime(2026, 1, 1, tzinfo=UTC), "12 of 20")


@asynccontextmanager
async def controller(node: Node, source: str = "prod", uid: str = "uid-1") -> AsyncIterator[SourcedRegistry]:
    """Lead the controllers of a source."""
    value = tables.encode(Candidacy("node"))
    leadership = await node.store.campaign(value, election=keys.controllers(source))
    yield SourcedRegistry(
        node.cache,
        node.commits,
        source=source,
        uid=uid,
        guard=leadership.guard,
        nameservers=NAMESERVERS,
        timeout=TIMEOUT,
    )
    await leadership.resign()


def zone_of(origin: Origin = CLUSTER, name: str = "example.com") -> Document:
    return Document(Kind.ZONE, name, ZoneSpec(), origin)


def account_of(origin: Origin = HOME, name: str = "alice", **spec: Any) -> Document:
    return Document(Kind.ACCOUNT, qualified(origin, name), AccountSpec(**spec), origin)


def host_of(origin: Origin = HOME, name: str = BLOG, owner: str = "alice", **spec: Any) -> Document:
    return Document(Kind.HOST, name, HostSpec(qualified(origin, owner), **spec), origin)


def token_of(origin: Origin = HOME, name: str = "router", digit: str = "1", **spec: Any) -> Document:
    value = TokenSpec(qualified(origin, "alice"), digit * 64, **spec)
    return Document(Kind.TOKEN, qualified(origin, name), value, origin)


EVERYTHING = [zone_of(), account_of(), host_of(), token_of()]


async def stored(node: Node, kind: Kind, name: str) -> Resource[Any] | None:
    await node.cache.current()
    by_kind: dict[Kind, Mapping[str, Entry[Resource[Any]]]] = {
        Kind.ZONE: node.cache.state.zones,
        Kind.ACCOUNT: node.cache.state.accounts,
        Kind.HOST: node.cache.state.hosts,
        Kind.TOKEN: node.cache.state.tokens,
    }
    entry = by_kind[kind].get(name)
    return entry.value if entry else None
