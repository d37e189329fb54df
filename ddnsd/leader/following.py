"""What a prefix makes of the hosts that follow it: whom it has yet to reach, and what to commit for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from ddnsd.model.addresses import Family
from ddnsd.model.expiry import is_stale_sighting, sighting
from ddnsd.model.prefix_updates import Follower, holding
from ddnsd.model.records import Committed, Entry, HistoryEntry, PrefixMove
from ddnsd.model.state import State
from ddnsd.store import codec, keys
from ddnsd.store.chronicle import addition

KEYS_OF_A_HOST = 4
"""Keys that its part of a commit compares or writes, at most."""


def is_waiting(state: State, move: Entry[PrefixMove], follower: Follower) -> bool:
    """Say whether the move has not reached the host, and nothing newer has."""
    return _is_to_have(state, move, follower) or _is_to_be_seen(state, move, follower)


def grounds(state: State, move: Entry[PrefixMove]) -> Mapping[str, int]:
    """Return what every commit because of the move expects: it, and that no newer one is unknown here."""
    account = move.value.account
    head = state.prefix_heads.get(account)
    return {move.key: move.revision, keys.prefix_head(account): head.revision if head else 0}


def end(state: State, move: Entry[PrefixMove]) -> tuple[Mapping[str, bytes], frozenset[str]]:
    """Return what the end of the move writes and deletes: it, and with the account's last one the head.

    The end of any other writes the head as it is: of two at the same moment one knows that it is the last.
    """
    account = move.value.account
    key, head = keys.prefix_head(account), state.prefix_heads.get(account)
    others = any(each != move for each in state.prefixes.of(account))
    if others and head:
        return {key: codec.encode(head.value)}, frozenset({move.key})
    return {}, frozenset({move.key, key})


def change(
    state: State, move: Entry[PrefixMove], hosts: Sequence[Follower], now: datetime
) -> tuple[Mapping[str, int], Mapping[str, bytes]]:
    """Return what a commit for some of the waiting hosts expects of them, and writes."""
    expects: dict[str, int] = {}
    puts: dict[str, bytes] = {}
    for follower in hosts:
        expects[follower.host.key] = follower.host.revision
        if _is_to_have(state, move, follower):
            _give(state, move, follower, now, expects, puts)
        if _is_to_be_seen(state, move, follower):
            key, seen = keys.seen(follower.record.name), state.seen.get(follower.record.name)
            expects[key] = seen.revision if seen else 0
            known = seen.value if seen else None
            puts[key] = codec.encode(sighting(known, (Family.AAAA,), move.value.changed))
    return expects, puts


def _is_to_have(state: State, move: Entry[PrefixMove], follower: Follower) -> bool:
    held, committed = holding(state, follower.record), state.addresses.get(follower.record)
    if committed is not None and committed.revision >= move.revision:
        return False  # also of the host that the client named: that has its own address of the same commit
    return held is not None and held.revision == move.revision


def _is_to_be_seen(state: State, move: Entry[PrefixMove], follower: Follower) -> bool:
    """Say whether the host expires, and its last refresh was long before this one."""
    seen = state.seen.get(follower.record.name)
    return is_stale_sighting(follower.host.value.spec, seen, (Family.AAAA,), move.value.changed)


def _give(
    state: State,
    move: Entry[PrefixMove],
    follower: Follower,
    now: datetime,
    expects: dict[str, int],
    puts: dict[str, bytes],
) -> None:
    """Give a host its address. The one that the nameserver has refused, given again, is no change."""
    record, told, committed = follower.record, move.value, state.addresses.get(follower.record)
    address = keys.address(record)
    expects[address] = committed.revision if committed else 0
    if committed is not None and committed.value.ip == follower.ip:
        previous, again = committed.value.previous, committed.value.again + 1
        puts[address] = codec.encode(Committed(follower.ip, previous, told.commit, now, again=again))
        return
    old = committed.value.ip if committed else ""
    puts[address] = codec.encode(Committed(follower.ip, old, told.commit, now))
    entry = HistoryEntry(now, record.type, old, follower.ip, told.api, told.token, told.source)
    key, expects[key], puts[key] = addition(state, record.name, entry)
