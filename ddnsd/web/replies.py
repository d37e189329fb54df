"""The contract's JSON: compact, UTF-8 as it is, never `\\u` escapes."""

import math
from collections.abc import Mapping

import msgspec

from ddnsd.model.request import Limited

CONTENT_TYPE = "application/json; charset=utf-8"
TEXT_TYPE = "text/plain; charset=utf-8"
GUARDS: Mapping[str, str] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every answer: it is meant for who asked, now, and for nothing but what it says it is."""

encode = msgspec.json.Encoder().encode

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
    return encode({"success": False, "error": message})


def failure_of_status(status: int) -> bytes:
    """Return the body for a status that no contract row speaks of."""
    return failure(_BY_STATUS.get(status, INTERNAL if status >= 500 else BAD_REQUEST))


def headers(answer: Limited) -> Mapping[str, str]:
    """Return the headers of an answer beside the usual ones (RFC 6585 §4, RFC 9110 §10.2.3)."""
    return {"Retry-After": str(math.ceil(answer.retry_after))}
