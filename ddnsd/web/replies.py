"""The contract's JSON: compact, UTF-8 as it is, never `\\u` escapes."""

from collections.abc import Mapping

import msgspec

from ..model.answers import Answer, Limited, Refusal, Result, Unchanged, Updated

CONTENT_TYPE = "application/json; charset=utf-8"

_encode = msgspec.json.Encoder().encode

# What the listener says below the contract's own table, in the same shape.
BAD_REQUEST = "请求格式错误"
NO_SUCH_PATH = "接口不存在"
METHOD_NOT_ALLOWED = "不支持的请求方法"
TOO_LARGE = "请求内容过大"
INTERNAL = "服务器内部错误"
DRAINING = "服务即将停止"
NO_STORE = "数据库暂不可用"
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


_REFUSALS: Mapping[Refusal, bytes] = {refusal: failure(refusal.message) for refusal in Refusal}


def body(answer: Answer) -> tuple[int, bytes]:
    """Return the status and the body of an answer to an update."""
    if isinstance(answer, Refusal):
        return answer.status, _REFUSALS[answer]
    if isinstance(answer, Limited):
        return 429, failure(LIMITED)
    return 200, _success(answer[0])


def _success(answer: Result) -> bytes:
    if isinstance(answer, Updated):
        return _encode(
            {
                "success": True,
                "message": "DDNS 更新成功",
                "data": {
                    "domain": answer.name,
                    "ip": answer.ip,
                    "record_type": answer.type,
                    "old_ip": answer.old_ip,
                    "updated": True,
                },
            }
        )
    assert isinstance(answer, Unchanged)
    return _encode(
        {
            "success": True,
            "message": "IP 地址未变化,无需更新",
            "data": {"domain": answer.name, "ip": answer.ip, "updated": False},
        }
    )
