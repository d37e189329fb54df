"""Prefixes on their way to the hosts that follow them: see `records.PrefixUpdate`.

An update counts from its own commit on: what a host that it has not reached yet has is the address below
the new prefix, unless its own address was committed later.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ddnsd.model.addresses import Family
from ddnsd.model.authorization import may_change, takes_updates
from ddnsd.model.prefixes import Prefix, address_below, read_prefix
from ddnsd.model.publication import is_refused
from ddnsd.model.records import Entry, Placement, PrefixUpdate, RecordKey, Resource
from ddnsd.model.resources import HostSpec, TokenSpec
from ddnsd.model.state import State


class Follower(NamedTuple):
    """A host that follows prefixes, and the address that it has below one."""

    record: RecordKey
    host: Entry[Resource[HostSpec]]
    placement: Placement
    ip: str


def holding(state: State, record: RecordKey) -> tuple[str, int]:
    """Return what the record is to hold, and the revision that says so: of its own commit, or an update's.

    The revision is 0 where nothing was ever asked, or all is forgotten.
    """
    committed = state.addresses.get(record)
    own = (committed.value.ip, committed.revision) if committed else ("", 0)
    return _moved(state, record, own) if state.prefixes and record.type is Family.AAAA else own


def followers(state: State, token: TokenSpec, prefix: Prefix) -> Iterator[Follower]:
    """Yield the hosts that a prefix update with this token moves."""
    return _followers(state, token.account, token.hosts, prefix)


def reached_by(state: State, update: PrefixUpdate) -> Iterator[Follower]:
    """Yield the hosts that an update is for, as they are now."""
    return _followers(state, update.account, update.hosts, read_prefix(update.prefix))


def _followers(state: State, account: str, only: Sequence[str] | None, prefix: Prefix) -> Iterator[Follower]:
    names = state.hosts.followers(account)
    for name in tuple(names if only is None else names & frozenset(only)):  # it may pause between any two
        host, zone_name = state.hosts.get(name), state.zone_of(name) or ""
        zone = state.zones.get(zone_name)
        if host is None or zone is None or not takes_updates(zone.value, host.value):
            continue
        ip = address_below(prefix, host.value.spec)
        if ip is not None and Family.AAAA in host.value.spec.families:
            placement = Placement(zone_name, zone.value.spec.nameserver)
            yield Follower(RecordKey(name, Family.AAAA), host, placement, ip)


def _moved(state: State, record: RecordKey, own: tuple[str, int]) -> tuple[str, int]:
    """Return what the newest update to come makes of the record; its own where none changes anything."""
    host = state.hosts.get(record.name)
    if host is None or host.value.spec.ipv6_suffix is None:
        return own
    content, revision = own
    for update in state.prefixes.of(host.value.spec.account):
        if update.revision > revision and may_change(update.value, record.name, host.value.spec):
            ip = address_below(read_prefix(update.value.prefix), host.value.spec)
            content, revision = (ip, update.revision) if ip else (content, revision)
    stays = content == own[0] and not is_refused(state, record, own[1])
    return own if stays else (content, revision)
