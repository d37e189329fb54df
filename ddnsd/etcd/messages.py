"""etcd's protobuf messages, declared at run time; no generated code, no tie to a protobuf version.

Numbers, names and types are those of etcd's api/mvccpb/kv.proto and api/etcdserverpb/rpc.proto, of which
only the fields used here are declared: protobuf skips the others. Enumerations are declared as int32,
which looks the same on the wire.

Between the plain values and the messages: the only place that handles messages' fields of data.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from ddnsd.etcd.values import (
    ClusterMember,
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    DeleteRangeResponse,
    EtcdKeyValue,
    KeyEvent,
    MemberStatus,
    Order,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    RequestOp,
    ResponseOp,
    TxnRequest,
    TxnResponse,
)

# A class made at run time has no attributes that mypy could know: whoever reads a message converts it
# to the values of `values.py` at once (`encoding.py`), and only there is `AnyMessage` handled.
AnyMessage: TypeAlias = Any

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "etcdserverpb"
_SCALARS = {
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}

# message: its fields as "number name type"; "*" behind a type is repeated, "|group" makes it part of a oneof.
_SCHEMA: Mapping[str, tuple[str, ...]] = {
    "ResponseHeader": ("1 cluster_id uint64", "2 member_id uint64", "3 revision int64"),
    "KeyValue": (
        "1 key bytes",
        "2 create_revision int64",
        "3 mod_revision int64",
        "4 version int64",
        "5 value bytes",
        "6 lease int64",
    ),
    "Event": ("1 type int32", "2 kv KeyValue"),
    "RangeRequest": (
        "1 key bytes",
        "2 range_end bytes",
        "3 limit int64",
        "4 revision int64",
        "5 sort_order int32",
        "6 sort_target int32",
        "7 serializable bool",
        "8 keys_only bool",
        "9 count_only bool",
    ),
    "RangeResponse": ("1 header ResponseHeader", "2 kvs KeyValue*", "3 more bool", "4 count int64"),
    "PutRequest": ("1 key bytes", "2 value bytes", "3 lease int64"),
    "PutResponse": ("1 header ResponseHeader",),
    "DeleteRangeRequest": ("1 key bytes", "2 range_end bytes"),
    "DeleteRangeResponse": ("1 header ResponseHeader", "2 deleted int64"),
    "RequestOp": (
        "1 request_range RangeRequest|request",
        "2 request_put PutRequest|request",
        "3 request_delete_range DeleteRangeRequest|request",
        "4 request_txn TxnRequest|request",
    ),
    "ResponseOp": (
        "1 response_range RangeResponse|response",
        "2 response_put PutResponse|response",
        "3 response_delete_range DeleteRangeResponse|response",
        "4 response_txn TxnResponse|response",
    ),
    "Compare": (
        "1 result int32",
        "2 target int32",
        "3 key bytes",
        "4 version int64|target_union",
        "5 create_revision int64|target_union",
        "6 mod_revision int64|target_union",
        "7 value bytes|target_union",
        "8 lease int64|target_union",
    ),
    "TxnRequest": ("1 compare Compare*", "2 success RequestOp*", "3 failure RequestOp*"),
    "TxnResponse": ("1 header ResponseHeader", "2 succeeded bool", "3 responses ResponseOp*"),
    "CompactionRequest": ("1 revision int64", "2 physical bool"),
    "CompactionResponse": ("1 header ResponseHeader",),
    "WatchRequest": (
        "1 create_request WatchCreateRequest|request_union",
        "3 progress_request WatchProgressRequest|request_union",
    ),
    "WatchCreateRequest": ("1 key bytes", "2 range_end bytes", "3 start_revision int64", "8 fragment bool"),
    "WatchProgressRequest": (),
    "WatchResponse": (
        "1 header ResponseHeader",
        "3 created bool",
        "4 canceled bool",
        "5 compact_revision int64",
        "6 cancel_reason string",
        "7 fragment bool",
        "11 events Event*",
    ),
    "LeaseGrantRequest": ("1 TTL int64", "2 ID int64"),
    "LeaseGrantResponse": ("1 header ResponseHeader", "2 ID int64", "3 TTL int64"),
    "LeaseRevokeRequest": ("1 ID int64",),
    "LeaseRevokeResponse": ("1 header ResponseHeader",),
    "LeaseKeepAliveRequest": ("1 ID int64",),
    "LeaseKeepAliveResponse": ("1 header ResponseHeader", "2 ID int64", "3 TTL int64"),
    "AuthenticateRequest": ("1 name string", "2 password string"),
    "AuthenticateResponse": ("1 header ResponseHeader", "2 token string"),
    "Member": ("1 ID uint64", "2 name string", "4 clientURLs string*", "5 isLearner bool"),
    "MemberListRequest": (),
    "MemberListResponse": ("1 header ResponseHeader", "2 members Member*"),
    "StatusRequest": (),
    "StatusResponse": (
        "1 header ResponseHeader",
        "2 version string",
        "3 dbSize int64",
        "4 leader uint64",
        "6 raftTerm uint64",
        "8 errors string*",
        "9 dbSizeInUse int64",
        "10 isLearner bool",
        "12 dbSizeQuota int64",
    ),
}


def _declare(name: str, fields: tuple[str, ...]) -> descriptor_pb2.DescriptorProto:
    message = descriptor_pb2.DescriptorProto(name=name)
    groups: list[str] = []
    for text in fields:
        number, field, kind = text.split()
        kind, _, group = kind.partition("|")
        declared = message.field.add(name=field, number=int(number), label=_Field.LABEL_OPTIONAL)
        if kind.endswith("*"):
            kind, declared.label = kind[:-1], _Field.LABEL_REPEATED
        if kind in _SCALARS:
            declared.type = _SCALARS[kind]
        else:
            declared.type, declared.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        if group:
            if group not in groups:
                groups.append(group)
                message.oneof_decl.add(name=group)
            declared.oneof_index = groups.index(group)
    return message


def _classes() -> Mapping[str, AnyMessage]:
    file = descriptor_pb2.FileDescriptorProto(name="etcd.proto", package=_PACKAGE, syntax="proto3")
    file.message_type.extend(_declare(name, fields) for name, fields in _SCHEMA.items())
    pool = descriptor_pool.DescriptorPool()  # of our own: another etcd library in the process is no conflict
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _SCHEMA
    }


CLASSES = _classes()


class Rpc(NamedTuple):
    """A call of etcd's API: its HTTP/2 path, its messages, and what a lost answer means.

    `repeatable`: doing it twice is as good as once, so that a call without an answer is sent again.
    """

    path: str
    request: Callable[..., AnyMessage]
    decode: Callable[[bytes], AnyMessage]
    repeatable: bool


def encode(message: Message) -> bytes:
    """Return the message's bytes."""
    return message.SerializeToString()


def _method(service: str, name: str, prefix: str = "", *, repeatable: bool = True) -> Rpc:
    prefix = prefix or name
    path = f"/{_PACKAGE}.{service}/{name}"
    decode = CLASSES[f"{prefix}Response"].FromString
    return Rpc(path, CLASSES[f"{prefix}Request"], decode, repeatable)


RANGE = _method("KV", "Range")
PUT = _method("KV", "Put", repeatable=False)
DELETE_RANGE = _method("KV", "DeleteRange", repeatable=False)
TXN = _method("KV", "Txn", repeatable=False)
REPEATABLE_TXN = TXN._replace(repeatable=True)
COMPACT = _method("KV", "Compact", "Compaction")
LEASE_GRANT = _method("Lease", "LeaseGrant")  # with an id of the client's choice
LEASE_REVOKE = _method("Lease", "LeaseRevoke")
# A stream in etcd; with one message each way it is the same on the wire as a unary call.
LEASE_KEEP_ALIVE = _method("Lease", "LeaseKeepAlive")
MEMBER_LIST = _method("Cluster", "MemberList")
STATUS = _method("Maintenance", "Status")
AUTHENTICATE = _method("Auth", "Authenticate")
WATCH = _method("Watch", "Watch")


_DELETE = CLASSES["DeleteRangeRequest"]
_PUT = CLASSES["PutRequest"]
_RANGE = CLASSES["RangeRequest"]
_TXN = CLASSES["TxnRequest"]
_OPERANDS = {
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
    CompareTarget.VALUE: "value",
    CompareTarget.LEASE: "lease",
}
_SORTING = {  # RangeRequest.SortOrder (ASCEND 1, DESCEND 2) and SortTarget (KEY 0, CREATE 2)
    Order.NONE: (0, 0),
    Order.OLDEST: (1, 2),
    Order.NEWEST: (2, 2),
    Order.LAST: (2, 0),
}
_DELETED = 1  # Event.EventType DELETE


def encode_range(wanted: RangeRequest) -> AnyMessage:
    """Return the RangeRequest."""
    message = _RANGE()
    _fill_range(message, wanted)
    return message


def encode_put(put: PutRequest) -> AnyMessage:
    """Return the PutRequest."""
    message = _PUT()
    _fill_put(message, put)
    return message


def encode_delete(delete: DeleteRangeRequest) -> AnyMessage:
    """Return the DeleteRangeRequest."""
    message = _DELETE()
    _fill_delete(message, delete)
    return message


def encode_txn(txn: TxnRequest) -> AnyMessage:
    """Return the TxnRequest, with all that it nests.

    Filled in place: what is passed to a message's constructor is copied, which costs a group three times.
    """
    message = _TXN()
    _fill_txn(message, txn)
    return message


def _fill_txn(message: AnyMessage, txn: TxnRequest) -> None:
    for compare in txn.compares:
        _fill_compare(message.compare.add(), compare)
    for operation in txn.success:
        _fill_operation(message.success.add(), operation)
    for operation in txn.failure:
        _fill_operation(message.failure.add(), operation)


def _fill_compare(message: AnyMessage, compare: Compare) -> None:
    message.key = compare.key
    message.target = compare.target
    message.result = compare.relation
    setattr(message, _OPERANDS[compare.target], compare.operand)


def _fill_operation(message: AnyMessage, operation: RequestOp) -> None:
    match operation:
        case RangeRequest():
            _fill_range(message.request_range, operation)
        case PutRequest():
            _fill_put(message.request_put, operation)
        case DeleteRangeRequest():
            _fill_delete(message.request_delete_range, operation)
        case TxnRequest():
            message.request_txn.SetInParent()  # though there may be nothing in it
            _fill_txn(message.request_txn, operation)


def _fill_range(message: AnyMessage, wanted: RangeRequest) -> None:
    message.key = wanted.key
    if wanted == RangeRequest(wanted.key):
        return  # the shape of nearly all
    message.range_end = wanted.end
    message.limit = wanted.limit
    message.revision = wanted.revision
    message.sort_order, message.sort_target = _SORTING[wanted.order]
    message.serializable = wanted.serializable
    message.keys_only = wanted.keys_only
    message.count_only = wanted.count_only


def _fill_put(message: AnyMessage, put: PutRequest) -> None:
    message.key = put.key
    message.value = put.value
    message.lease = put.lease


def _fill_delete(message: AnyMessage, delete: DeleteRangeRequest) -> None:
    message.key = delete.key
    message.range_end = delete.end


def decode_key_value(message: AnyMessage) -> EtcdKeyValue:
    """Return the key of an mvccpb.KeyValue."""
    return EtcdKeyValue(
        message.key,
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def decode_range(message: AnyMessage) -> RangeResponse:
    """Return the result of a RangeResponse."""
    items = tuple(map(decode_key_value, message.kvs))
    return RangeResponse(message.header.revision, items, message.more, message.count)


def decode_put(message: AnyMessage) -> PutResponse:
    """Return the result of a PutResponse."""
    return PutResponse(message.header.revision)


def decode_delete(message: AnyMessage) -> DeleteRangeResponse:
    """Return the result of a DeleteRangeResponse."""
    return DeleteRangeResponse(message.header.revision, message.deleted)


def decode_txn(message: AnyMessage) -> TxnResponse:
    """Return the result of a TxnResponse; nested answers have no header, they get that of the whole."""
    return _decode_txn(message, message.header.revision)


def _decode_txn(message: AnyMessage, revision: int) -> TxnResponse:
    results = tuple(_decode_result(response, revision) for response in message.responses)
    return TxnResponse(revision, message.succeeded, results)


def _decode_result(message: AnyMessage, revision: int) -> ResponseOp:
    kind = message.WhichOneof("response")
    if kind == "response_put":
        return PutResponse(revision)
    if kind == "response_range":
        return decode_range(message.response_range)._replace(revision=revision)
    if kind == "response_delete_range":
        return DeleteRangeResponse(revision, message.response_delete_range.deleted)
    return _decode_txn(message.response_txn, revision)


def decode_event(message: AnyMessage) -> KeyEvent:
    """Return the event of an mvccpb.Event."""
    return KeyEvent(decode_key_value(message.kv), message.type == _DELETED)


def decode_member(message: AnyMessage) -> ClusterMember:
    """Return a member of a MemberListResponse."""
    return ClusterMember(message.ID, message.name, tuple(message.clientURLs), message.isLearner)


def decode_status(endpoint: str, message: AnyMessage) -> MemberStatus:
    """Return a StatusResponse, with the endpoint that gave it."""
    return MemberStatus(
        endpoint,
        message.header.member_id,
        message.version,
        message.leader,
        message.raftTerm,
        message.header.revision,
        message.dbSize,
        message.dbSizeInUse,
        message.dbSizeQuota,
        message.isLearner,
        tuple(message.errors),
    )
