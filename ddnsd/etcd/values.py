"""etcd's operations and answers as plain values (etcd: api/mvccpb/kv.proto, api/etcdserverpb/rpc.proto).

Keys and values are bytes. A revision is the number of one change of the whole store; 0 as a key's
revision means "there is no such key".
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias


class EtcdKeyValue(NamedTuple):
    """A key (mvccpb.KeyValue). `version` counts its writes since creation; `lease` 0 is none."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int


class CompareTarget(IntEnum):
    """What a compare looks at (Compare.CompareTarget)."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class Relation(IntEnum):
    """How it compares (Compare.CompareResult)."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class Compare(NamedTuple):
    """A condition of a transaction: `target` of `key` `relation` `operand` (bytes for VALUE, else int)."""

    key: bytes
    target: CompareTarget
    operand: int | bytes
    relation: Relation = Relation.EQUAL


class Order(IntEnum):
    """In which order keys are answered: by their creation, or NONE, by key; LAST is that backwards."""

    NONE = 0
    OLDEST = 1
    NEWEST = 2
    LAST = 3


class RangeRequest(NamedTuple):
    """Read the keys from `key` up to, without, `end` (b"": this one key; b"\\0": all from `key`).

    `revision` 0 reads the newest, `limit` 0 all. Linearizable unless `serializable`.
    """

    key: bytes
    end: bytes = b""
    revision: int = 0
    limit: int = 0
    order: Order = Order.NONE
    serializable: bool = False
    keys_only: bool = False
    count_only: bool = False


class PutRequest(NamedTuple):
    """Write a key, attached to a lease or (0) to none."""

    key: bytes
    value: bytes
    lease: int = 0


class DeleteRangeRequest(NamedTuple):
    """Delete a key, or all from `key` up to, without, `end`."""

    key: bytes
    end: bytes = b""


class TxnRequest(NamedTuple):
    """If all compares hold do `success`, else `failure`; in one revision.

    All compares, those of nested transactions too, are evaluated before anything is written. No key
    may be put twice. etcd allows a nested level `--max-txn-ops` (128) less the operations of the level
    above it.
    """

    compares: Sequence[Compare] = ()
    success: Sequence["RequestOp"] = ()
    failure: Sequence["RequestOp"] = ()


RequestOp: TypeAlias = RangeRequest | PutRequest | DeleteRangeRequest | TxnRequest


class RangeResponse(NamedTuple):
    """`revision` is the store's when it read; `total` counts all keys in the range, whatever the limit."""

    revision: int
    items: tuple[EtcdKeyValue, ...]
    more: bool
    total: int


class PutResponse(NamedTuple):
    """The revision of the put."""

    revision: int


class DeleteRangeResponse(NamedTuple):
    """How many keys were deleted."""

    revision: int
    deleted: int


class TxnResponse(NamedTuple):
    """Whether the compares held, and the results of that branch in the order of its operations."""

    revision: int
    succeeded: bool
    results: tuple["ResponseOp", ...]


ResponseOp: TypeAlias = RangeResponse | PutResponse | DeleteRangeResponse | TxnResponse


class KeyEvent(NamedTuple):
    """One change. A deleted key has no value and only its `mod_revision`, that of the deletion."""

    item: EtcdKeyValue
    deleted: bool


class WatchRevision(NamedTuple):
    """All changes under a watched prefix with one revision, whole."""

    revision: int
    events: tuple[KeyEvent, ...]


class ClusterMember(NamedTuple):
    """A member of the cluster; `name` is empty until it has been started for the first time."""

    id: int
    name: str
    client_urls: tuple[str, ...]
    is_learner: bool


class MemberStatus(NamedTuple):
    """One member's own view (Maintenance.Status). Sizes in bytes; `errors` holds its alarms as text.

    `leader` 0 is none. `quota` is --quota-backend-bytes, 0 where the member does not tell (before 3.6).
    """

    endpoint: str
    member_id: int
    version: str
    leader: int
    raft_term: int
    revision: int
    size: int
    size_in_use: int
    quota: int
    is_learner: bool
    errors: tuple[str, ...]


def prefix_end(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that start with `prefix` (b"\\0" where there is none)."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes([trimmed[-1] + 1]) if trimmed else b"\0"


def prefix_range(prefix: bytes) -> tuple[bytes, bytes]:
    """Return the first key and the end of the range of all keys that start with `prefix`."""
    return prefix or b"\0", prefix_end(prefix)
