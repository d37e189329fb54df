"""Between the plain values and the messages: the only place that handles messages' fields of data."""

from .messages import CLASSES, AnyMessage
from .values import (
    Compare,
    Delete,
    DeleteResult,
    Event,
    KeyValue,
    Member,
    Operation,
    Order,
    Put,
    PutResult,
    Range,
    RangeResult,
    Result,
    Status,
    Target,
    Txn,
    TxnResult,
)

_COMPARE = CLASSES["Compare"]
_DELETE = CLASSES["DeleteRangeRequest"]
_OPERATION = CLASSES["RequestOp"]
_PUT = CLASSES["PutRequest"]
_RANGE = CLASSES["RangeRequest"]
_TXN = CLASSES["TxnRequest"]
_OPERANDS = {
    Target.VERSION: "version",
    Target.CREATE: "create_revision",
    Target.MOD: "mod_revision",
    Target.VALUE: "value",
    Target.LEASE: "lease",
}
_SORT_BY_CREATION = 2  # RangeRequest.SortTarget CREATE
_DELETED = 1  # Event.EventType DELETE


def encode_range(wanted: Range) -> AnyMessage:
    """Return the RangeRequest."""
    return _RANGE(
        key=wanted.key,
        range_end=wanted.end,
        limit=wanted.limit,
        revision=wanted.revision,
        sort_order=wanted.order,
        sort_target=_SORT_BY_CREATION if wanted.order is not Order.NONE else 0,
        serializable=wanted.serializable,
        keys_only=wanted.keys_only,
        count_only=wanted.count_only,
    )


def encode_put(put: Put) -> AnyMessage:
    """Return the PutRequest."""
    return _PUT(key=put.key, value=put.value, lease=put.lease)


def encode_delete(delete: Delete) -> AnyMessage:
    """Return the DeleteRangeRequest."""
    return _DELETE(key=delete.key, range_end=delete.end)


def encode_txn(txn: Txn) -> AnyMessage:
    """Return the TxnRequest, with all that it nests."""
    return _TXN(
        compare=[_encode_compare(compare) for compare in txn.compares],
        success=[_encode_operation(operation) for operation in txn.success],
        failure=[_encode_operation(operation) for operation in txn.failure],
    )


def _encode_compare(compare: Compare) -> AnyMessage:
    operand = {_OPERANDS[compare.target]: compare.operand}
    return _COMPARE(result=compare.relation, target=compare.target, key=compare.key, **operand)


def _encode_operation(operation: Operation) -> AnyMessage:
    match operation:
        case Put():
            return _OPERATION(request_put=encode_put(operation))
        case Range():
            return _OPERATION(request_range=encode_range(operation))
        case Delete():
            return _OPERATION(request_delete_range=encode_delete(operation))
        case Txn():
            return _OPERATION(request_txn=encode_txn(operation))


def decode_key_value(message: AnyMessage) -> KeyValue:
    """Return the key of an mvccpb.KeyValue."""
    return KeyValue(
        message.key,
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def decode_range(message: AnyMessage) -> RangeResult:
    """Return the result of a RangeResponse."""
    items = tuple(map(decode_key_value, message.kvs))
    return RangeResult(message.header.revision, items, message.more, message.count)


def decode_put(message: AnyMessage) -> PutResult:
    """Return the result of a PutResponse."""
    return PutResult(message.header.revision)


def decode_delete(message: AnyMessage) -> DeleteResult:
    """Return the result of a DeleteRangeResponse."""
    return DeleteResult(message.header.revision, message.deleted)


def decode_txn(message: AnyMessage) -> TxnResult:
    """Return the result of a TxnResponse; nested answers have no header, they get that of the whole."""
    return _decode_txn(message, message.header.revision)


def _decode_txn(message: AnyMessage, revision: int) -> TxnResult:
    results = tuple(_decode_result(response, revision) for response in message.responses)
    return TxnResult(revision, message.succeeded, results)


def _decode_result(message: AnyMessage, revision: int) -> Result:
    kind = message.WhichOneof("response")
    if kind == "response_put":
        return PutResult(revision)
    if kind == "response_range":
        return decode_range(message.response_range)._replace(revision=revision)
    if kind == "response_delete_range":
        return DeleteResult(revision, message.response_delete_range.deleted)
    return _decode_txn(message.response_txn, revision)


def decode_event(message: AnyMessage) -> Event:
    """Return the event of an mvccpb.Event."""
    return Event(decode_key_value(message.kv), message.type == _DELETED)


def decode_member(message: AnyMessage) -> Member:
    """Return a member of a MemberListResponse."""
    return Member(message.ID, message.name, tuple(message.clientURLs), message.isLearner)


def decode_status(endpoint: str, message: AnyMessage) -> Status:
    """Return a StatusResponse, with the endpoint that gave it."""
    return Status(
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
