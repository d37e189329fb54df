"""A group of updates as one transaction of etcd, and its answer as their outcomes.

Each update is a nested transaction with compares of its own, and reads what it compared where they do
not hold; so the updates succeed and fail one by one, at one revision. The transaction around them puts
the clock. It does nothing at all where the timeline is another, the clock is behind what is known of it, or
the session key of the process that has sent it is another one by now (`session`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ddnsd import etcd
from ddnsd.etcd import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EtcdClientSettings,
    PutRequest,
    RangeRequest,
    Relation,
    TxnRequest,
)
from ddnsd.etcd.values import RangeResponse, ResponseOp, TxnResponse, prefix_range
from ddnsd.store.interface import CLOCK, ConditionalWrite, Done, KeyValue, Limits, Outcome, Stale

SESSIONS = "sessions/"  # what the processes' session keys begin with


class Keyspace:
    """Keys of the store (text) under a prefix of etcd's (bytes, UTF-8)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self.clock = self.key(CLOCK)
        self.timeline = self.key(f"{CLOCK}/timeline")
        self.clocks = etcd.RangeRequest(*prefix_range(self.clock))  # both
        self._own = (self.timeline, self.key(SESSIONS))  # what the store shows nobody

    def key(self, name: str) -> bytes:
        """Return etcd's key, or prefix, of a key of the store."""
        return self._prefix + name.encode()

    def name(self, key: bytes) -> str:
        """Return the store's key. What is no UTF-8 is another program's: it is shown and never found."""
        return key.removeprefix(self._prefix).decode(errors="backslashreplace")

    def items(self, found: tuple[etcd.EtcdKeyValue, ...]) -> dict[str, KeyValue]:
        """Return the items by the store's keys, without the store's own."""
        return {self.name(one.key): item(one) for one in found if not one.key.startswith(self._own)}

    def changes(self, found: tuple[etcd.KeyEvent, ...]) -> dict[str, KeyValue | None]:
        """Return the events by the store's keys, without those of the store's own."""
        return {
            self.name(event.item.key): None if event.deleted else item(event.item)
            for event in found
            if not event.item.key.startswith(self._own)
        }


def item(found: etcd.EtcdKeyValue) -> KeyValue:
    """Return an item without its key."""
    return KeyValue(found.value, found.mod_revision, found.create_revision)


_MAX_TXN_OPS = 128  # etcd's default of --max-txn-ops
# etcd allows a nested level what the level above leaves (server/etcdserver/api/v3rpc/key.go,
# checkTxnRequest), where there are the updates and the clock's put.
_OPERATIONS = _MAX_TXN_OPS - 1
# Two in flight give half as much again as one.
LIMITS = Limits(group=_OPERATIONS - 1, in_flight=2, operations=_OPERATIONS)


def encode(
    space: Keyspace, timeline: bytes, clock: int, session: Compare, updates: Sequence[ConditionalWrite]
) -> TxnRequest:
    """Return the transaction of a group of updates; `clock` is the highest known revision of the clock.

    `session` is the condition that the session key has not been written since.
    """
    return TxnRequest(
        [*_conditions(space, timeline, clock), session],
        [*(_nested(space, update) for update in updates), PutRequest(space.clock, b"")],
        [space.clocks],
    )


def encode_session(space: Keyspace, timeline: bytes, clock: int, key: str, lease: int) -> TxnRequest:
    """Return the transaction that writes a session key, on its lease; done twice it is as good as once."""
    puts = [PutRequest(space.key(key), b"", lease), PutRequest(space.clock, b"")]
    return TxnRequest(_conditions(space, timeline, clock), puts, [space.clocks])


def _conditions(space: Keyspace, timeline: bytes, clock: int) -> list[Compare]:
    """Return what holds in the history that is known, and in no other."""
    return [
        Compare(space.timeline, CompareTarget.VALUE, timeline),
        Compare(space.clock, CompareTarget.MOD, clock - 1, Relation.GREATER),
    ]


def _nested(space: Keyspace, update: ConditionalWrite) -> TxnRequest:
    compares = [
        Compare(space.key(key), CompareTarget.MOD, revision) for key, revision in update.expects.items()
    ]
    puts = [PutRequest(space.key(key), value) for key, value in update.puts.items()]
    deletes = [DeleteRangeRequest(space.key(key)) for key in update.deletes]
    return TxnRequest(compares, [*puts, *deletes], [RangeRequest(compare.key) for compare in compares])


def found_clocks(answer: TxnResponse) -> RangeResponse:
    """Return the timeline and the clock that a transaction found, which was not to be done with these."""
    (read,) = answer.results
    assert isinstance(read, RangeResponse)
    return read


def decode(updates: Sequence[ConditionalWrite], answer: TxnResponse) -> list[Outcome]:
    """Return the outcomes of a transaction that found its own timeline."""
    *results, _clock = answer.results
    return [_outcome(update, result) for update, result in zip(updates, results, strict=True)]


def _outcome(update: ConditionalWrite, result: ResponseOp) -> Outcome:
    assert isinstance(result, TxnResponse)
    if result.succeeded:
        return Done(result.revision)
    found = (read.items for read in result.results if isinstance(read, RangeResponse))
    current = {
        key: item(items[0]) if items else None for key, items in zip(update.expects, found, strict=True)
    }
    return Stale(result.revision, current)


@dataclass(frozen=True, slots=True)
class EtcdStoreSettings:
    """A cluster, and an installation's place in it.

    `lease_ttl`, in seconds, is how long a dead leader leads; `quota`, in bytes, the --quota-backend-bytes
    of members that do not tell it (before etcd 3.6).
    """

    cluster: EtcdClientSettings
    prefix: str = "ddnsd/"
    lease_ttl: int = 5
    quota: int = 2 << 30
