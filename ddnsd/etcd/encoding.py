"""Between the plain values and the messages: the only place that handles messages' fields of data."""

from ddnsd.etcd.messages import CLASSES, AnyMessage
from ddnsd.etcd.values import (
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

_DELETE = CLASSES["DeleteRangeRequest"]
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
_SORTING = {  # RangeRequest.SortOrder (ASCEND 1, DESCEND 2) and SortTarget (KEY 0, CREATE 2)
    Order.NONE: (0, 0),
    Order.OLDEST: (1, 2),
    Order.NEWEST: (2, 2),
    Order.LAST: (2, 0),
}
_DELETED = 1  # Event.EventType DELETE


def encode_range(wanted: Range) -> AnyMessage:
    """Return the RangeRequest."""
    message = _RANGE()
    _fill_range(message, wanted)
    return message


def encode_put(put: Put) -> AnyMessage:
    """Return the PutRequest."""
    message = _PUT()
    _fill_put(message, put)
    return message


def encode_delete(delete: Delete) -> AnyMessage:
    """Return the DeleteRangeRequest."""
    message = _DELETE()
    _fill_delete(message, delete)
    return message


def encode_txn(txn: Txn) -> AnyMessage:
    """Return the TxnRequest, with all that it nests.

    Filled in place: what is passed to a message's constructor is copied, which costs a group three times.
    """
    message = _TXN()
    _fill_txn(message, txn)
    return message


def _fill_txn(message: AnyMessage, txn: Txn) -> None:
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


def _fill_operation(message: AnyMessage, operation: Operation) -> None:
    match operation:
        case Range():
            _fill_range(message.request_range, operation)
        case Put():
            _fill_put(message.request_put, operation)
        case Delete():
            _fill_delete(message.request_delete_range, operation)
        case Txn():
            message.request_txn.SetInParent()  # though there may be nothing in it
            _fill_txn(message.request_txn, operation)


def _fill_range(message: AnyMessage, wanted: Range) -> None:
    message.key = wanted.key
    if wanted == Range(wanted.key):
        return  # the shape of nearly all
    message.range_end = wanted.end
    message.limit = wanted.limit
    message.revision = wanted.revision
    message.sort_order, message.sort_target = _SORTING[wanted.order]
    message.serializable = wanted.serializable
    message.keys_only = wanted.keys_only
    message.count_only = wanted.count_only


def _fill_put(message: AnyMessage, put: Put) -> None:
    message.key = put.key
    message.value = put.value
    message.lease = put.lease


def _fill_delete(message: AnyMessage, delete: Delete) -> None:
    message.key = delete.key
    message.range_end = delete.end


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
