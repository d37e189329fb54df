"""A large installation as a leader has left it: all of it in the store, and at BIND."""

import functools
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from ddnsd.model.addresses import Family
from ddnsd.model.fence import Fence, FenceOwner
from ddnsd.model.records import Committed, Placement, PlacementState, Published, RecordKey, Resource
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec, digest
from ddnsd.store import keys, tables
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import ConditionalWrite, Done, Store
from tests.rigs.bind import BindRig

SECRET = "test-secret-0123456789"
_NOW = datetime(2026, 11, 30, tzinfo=UTC)
_KEYS = 100  # of one commit


class Names:
    """So many zones, with so many hosts in each; a host has one address, all are one account's."""

    def __init__(self, zones: int, hosts: int) -> None:
        self.zones = [f"z{number:03}.example" for number in range(zones)]
        self._hosts = hosts

    def hosts_of(self, zone: str) -> Iterator[tuple[str, str]]:
        """Yield the names of a zone's hosts, and the address of each."""
        number = self.zones.index(zone)
        return (
            (f"h{host}.{zone}", f"10.{number}.{host // 250}.{host % 250 + 1}") for host in range(self._hosts)
        )

    @functools.cached_property
    def addresses(self) -> Mapping[RecordKey, str]:
        """The address of each record."""
        return {RecordKey(name, Family.A): ip for zone in self.zones for name, ip in self.hosts_of(zone)}


class FilledBind(BindRig):
    """BIND with all records, and in each zone a fence of the owner's."""

    def __init__(self, names: Names, owner: FenceOwner) -> None:
        super().__init__(names.zones)
        self._names = names
        self._fence = Fence(owner, 1, "before").text

    def zone_file(self, zone: str) -> str:
        lines = [f"{name}. 60 A {ip}" for name, ip in self._names.hosts_of(zone)]
        return "\n".join((super().zone_file(zone), f'_ddnsd.{zone}. 60 TXT "{self._fence}"', *lines, ""))


async def fill(store: Store, names: Names) -> FenceOwner:
    """Put into an empty store what it holds when all is published; return who owns it."""
    owner = await installation_owner(store)
    await _put(store, _documents(names))
    committed = {
        keys.address(record): tables.encode(Committed(ip, "", "commit", _NOW))
        for record, ip in names.addresses.items()
    }
    revision = await _put(store, committed)
    published = {
        keys.published(record): tables.encode(Published(revision, ip, 60, "default", _NOW))
        for record, ip in names.addresses.items()
    }
    await _put(store, published)
    noted = tables.encode(PlacementState(verified_in=owner.cluster))
    await _put(store, {keys.placement(Placement(zone, "default")): noted for zone in names.zones})
    return owner


def _documents(names: Names) -> Mapping[str, bytes]:
    host = tables.encode(Resource(HostSpec("alice")))
    token = tables.encode(Resource(TokenSpec("alice", digest(SECRET))))
    return {
        **{keys.resource(Kind.ZONE, zone): tables.encode(Resource(ZoneSpec())) for zone in names.zones},
        **{keys.resource(Kind.HOST, record.name): host for record in names.addresses},
        keys.resource(Kind.ACCOUNT, "alice"): tables.encode(Resource(AccountSpec())),
        keys.resource(Kind.TOKEN, "router"): token,
    }


async def _put(store: Store, values: Mapping[str, bytes]) -> int:
    """Commit all values; return the newest revision."""
    newest, items = 0, list(values.items())
    for start in range(0, len(items), _KEYS):
        (outcome,) = await store.commit([ConditionalWrite({}, dict(items[start : start + _KEYS]))])
        assert isinstance(outcome, Done)
        newest = outcome.revision
    return newest
