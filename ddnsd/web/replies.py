"""The contract's JSON: compact, UTF-8 as it is, never `\\u` escapes."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from ddnsd.model.request import (
    HostResult,
    Limited,
    Moved,
    Refusal,
    Skipped,
    Unchanged,
    Updated,
    UpdateResult,
    is_change,
)

CONTENT_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
GUARDS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer: it is meant for who asked, now, and for nothing but what it says it is."""

_encode = msgspec.json.Encoder().encode

# What the listener says below the contract's own table, in the same shape.
BAD_REQUEST = "请求格式错误"
NO_SUCH_PATH = "接口不存在"
METHOD_NOT_ALLOWED = "不支持的请求方法"
TOO_LARGE = "请求内容过大"
INTERNAL = "服务器内部错误"
DRAINING = "服务即将停止"
NO_STORE = "数据库暂不可用"
UPDATED = "DDNS 更新成功"
UNCHANGED = "IP 地址未变化,无需更新"
LIMITED = "请求过于频繁,请稍后再试"

_BY_STATUS: Mapping[int, str] = {
    404: NO_SUCH_PATH,
    405: METHOD_NOT_ALLOWED,
    413: TOO_LARGE,
}


def failure(message: str) -> bytes:
    """Return the body of an answer that is no success."""
    return _encode({"success": False, "error": message})


def failure_of_status(status: int) -> bytes:
    """Return the body for a status that no contract row speaks of."""
    return failure(_BY_STATUS.get(status, INTERNAL if status >= 500 else BAD_REQUEST))


_RECORDS = (Updated, Unchanged)  # results that are about one record
_REFUSALS: Mapping[Refusal, bytes] = {refusal: failure(refusal.message) for refusal in Refusal}


def body(answer: UpdateResult) -> tuple[int, bytes]:
    """Return the status and the body of an answer to an update.

    That of a success is about the first record that was changed, else the first one. Where more was asked
    for, it also has what became of each record and of the prefix, and what was left out.
    """
    if isinstance(answer, Refusal):
        return answer.status, _REFUSALS[answer]
    if isinstance(answer, Limited):
        return 429, failure(LIMITED)
    lead = answer[0]
    if len(answer) > 1:
        lead = next((result for result in answer if is_change(result)), lead)
    changed = is_change(lead)
    ip = lead.ip if isinstance(lead, _RECORDS) else ""
    data: dict[str, Any] = {"domain": lead.name, "ip": ip}
    if isinstance(lead, Updated):
        data |= {"record_type": lead.type, "old_ip": lead.old_ip}
    data["updated"] = changed
    if len(answer) > 1 or isinstance(lead, Moved):
        data |= _parts(answer)
    return 200, _encode({"success": True, "message": UPDATED if changed else UNCHANGED, "data": data})


def headers(answer: Limited) -> Mapping[str, str]:
    """Return the headers of an answer beside the usual ones (RFC 6585 §4, RFC 9110 §10.2.3)."""
    return {"Retry-After": str(math.ceil(answer.retry_after))}


def _parts(results: tuple[HostResult, ...]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["records"] = [_record(result) for result in results if isinstance(result, _RECORDS)]
    for result in results:
        if isinstance(result, Moved):
            data["prefix"] = {"prefix": result.prefix, "hosts": result.hosts, "moved": result.moved}
    if skipped := [_skip(result) for result in results if isinstance(result, Skipped)]:
        data["skipped"] = skipped
    return data


def _skip(result: Skipped) -> dict[str, Any]:
    return {"record_type": result.type, "ip": result.ip, "error": result.reason.message}


def _record(result: Updated | Unchanged) -> dict[str, Any]:
    old_ip = result.old_ip if isinstance(result, Updated) else result.ip
    return {"record_type": result.type, "ip": result.ip, "old_ip": old_ip, "updated": is_change(result)}
