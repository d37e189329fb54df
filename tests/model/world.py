"""An installation's state, written by hand: each step is a commit with a revision of its own."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ddnsd.model.addresses import Family
from ddnsd.model.publication import wanted
from ddnsd.model.records import (
    Committed,
    Entry,
    LastSeen,
    Placement,
    PlacementState,
    PrefixUpdate,
    Published,
    PublishError,
    RecordKey,
    Resource,
    prefix_update_id,
)
from ddnsd.model.request import Refusal, Request, UpdateRequest, read
from ddnsd.model.resources import AccountSpec, HostSpec, TokenSpec, ZoneSpec, digest
from ddnsd.model.state import State, Table

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def read_all(*asked: Request, private: bool = True) -> UpdateRequest | Refusal:
    """Read requests of one client."""
    return read(asked, digest(asked[0].token), private=private)


class World:
    """A state and the steps that make it."""

    def __init__(self) -> None:
        self.state = State()
        self.state.identity = "here"
        self.revision = 0

    def zone(self, name: str = "example.com", *, held: bool = False, **spec: Any) -> None:
        self._put(self.state.zones, name, f"zones/{name}", Resource(ZoneSpec(**spec), held=held))

    def account(self, name: str = "alice", *, held: bool = False, **spec: Any) -> None:
        self._put(self.state.accounts, name, f"accounts/{name}", Resource(AccountSpec(**spec), held=held))

    def host(
        self, name: str = "blog.example.com", account: str = "alice", *, held: bool = False, **spec: Any
    ) -> None:
        self._put(self.state.hosts, name, f"hosts/{name}", Resource(HostSpec(account, **spec), held=held))

    def token(
        self,
        name: str = "router",
        secret: str = "secret",
        account: str = "alice",
        *,
        held: bool = False,
        **spec: Any,
    ) -> None:
        value = Resource(TokenSpec(account, digest(secret), **spec), held=held)
        self._put(self.state.tokens, name, f"tokens/{name}", value)

    def commit(self, record: RecordKey, ip: str, previous: str = "", again: int = 0) -> int:
        """Commit an address; return its revision."""
        return self._committed(record, Committed(ip, previous, "commit", NOW, again=again))

    def withdraw(self, record: RecordKey, zone: str = "example.com", *, cleared: bool = False) -> int:
        """Leave a tombstone; return its revision."""
        return self._committed(record, Committed("", "", "commit", NOW, zone, cleared))

    def move(self, prefix: str, token: str = "router", hosts: tuple[str, ...] | None = None) -> int:
        """Commit a prefix that hosts have yet to follow; return its revision."""
        holder = self.state.tokens[token]
        move = PrefixUpdate(prefix, holder.value.spec.account, hosts, "commit", NOW, token, "", "update")
        id = prefix_update_id(holder.value.spec.account, token, holder.revision)
        self._put(self.state.prefixes, id, f"prefixes/{id}", move)
        return self.revision

    def see(self, host: str, at: datetime = NOW) -> None:
        """Note that a host was refreshed."""
        self._put(self.state.seen, host, f"seen/{host}", LastSeen(at))

    def publish(self, record: RecordKey) -> None:
        """Note that what is wanted now is served."""
        want = wanted(self.state, record)
        assert want is not None
        nameserver, wildcard = want.placement.nameserver, want.wildcard
        self.note(record, Published(want.revision, want.ip, want.ttl, nameserver, NOW, wildcard=wildcard))

    def refuse(self, record: RecordKey) -> None:
        """Note that the nameserver refuses what is wanted now; what it served before, it still serves."""
        want, before = wanted(self.state, record), self.state.published.get(record)
        assert want is not None
        served = before.value if before else Published(0, "", want.ttl, want.placement.nameserver)
        error = PublishError(want.revision, "REFUSED", NOW, want.placement.nameserver)
        self.note(record, msgspec.structs.replace(served, error=error))

    def try_again(self, record: RecordKey) -> None:
        """Note that what the nameserver has refused is to be tried again, as a reconcile does."""
        published = self.state.published[record].value
        assert published.error is not None
        error = msgspec.structs.replace(published.error, revision=0)
        self.note(record, msgspec.structs.replace(published, error=error))

    def doubt(self, record: RecordKey) -> None:
        """Note that what is served is not known."""
        before = self.state.published[record].value
        self.note(record, msgspec.structs.replace(before, revision=0))

    def note(self, record: RecordKey, published: Published) -> None:
        key = f"published/{record.name}/{record.type}"
        self._put(self.state.published, record, key, published)

    def placement(
        self, zone: str = "example.com", nameserver: str = "default", *, verified: bool = True
    ) -> None:
        key = f"fences/{zone}/{nameserver}"
        self._put(
            self.state.placements,
            Placement(zone, nameserver),
            key,
            PlacementState(self.state.identity if verified else ""),
        )

    def _committed(self, record: RecordKey, value: Committed) -> int:
        self._put(self.state.addresses, record, f"addresses/{record.name}/{record.type}", value)
        return self.revision

    def _put(self, table: Table[Any, Any], id: Any, key: str, value: Any) -> None:
        self.revision += 1
        before = table.get(id)
        table.put(id, Entry(key, self.revision, before.created if before else self.revision, value))


BLOG = RecordKey("blog.example.com", Family.A)
BLOG6 = RecordKey("blog.example.com", Family.AAAA)
PLACEMENT = Placement("example.com", "default")


def small_world() -> World:
    """Return a world of one zone, account, host and token, its zone verified."""
    world = World()
    world.zone()
    world.account()
    world.host()
    world.token()
    world.placement()
    return world
