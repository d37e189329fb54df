"""What the update API can answer: the contract's messages and statuses, as values."""

from enum import Enum
from typing import NamedTuple

from ddnsd.model.addresses import RRType


class Refusal(Enum):
    """Why an update was not made: (HTTP status, the contract's message).

    The member's name in lower case is the `result` label of the request metrics.
    """

    FIRST_LEVEL = (400, "DDNS 功能仅支持子域名,不支持一级域名")
    MISSING_DOMAIN = (400, "缺少 domain 参数")
    MISSING_TOKEN = (400, "缺少 token 参数")
    INVALID_IP = (400, "无效的 IP 地址格式")
    UNKNOWN_TOKEN = (401, "无效的 token")
    SUSPENDED = (403, "用户账号已被临时封禁")
    BANNED = (403, "用户账号已被永久封禁")
    RECORD_DISABLED = (403, "域名记录已被禁用")
    ZONE_DISABLED = (403, "一级域名已被禁用")
    NOT_FOUND = (404, "域名不存在或无权操作")
    FAMILY_MISMATCH = (400, "IP 类型不匹配")
    NAMESERVER_FAILED = (500, "更新 DNS 服务器失败")
    STORE_FAILED = (500, "更新数据库失败")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def message(self) -> str:
        """The contract's text, for `error`."""
        return self.value[1]


class Updated(NamedTuple):
    """The nameserver has taken the new address, or has let it go where `ip` is "".

    `old_ip` is "" where there was none. Of a TXT both are values.
    """

    name: str
    ip: str
    type: RRType
    old_ip: str


class Unchanged(NamedTuple):
    """The name already has this address, committed and published; or has none, where `ip` is ""."""

    name: str
    ip: str
    type: RRType


class Moved(NamedTuple):
    """All hosts that follow a prefix have their addresses under it, published.

    `name` is the host that the client named, `hosts` how many follow, `moved` those whose address was another
    one before.
    """

    name: str
    prefix: str
    hosts: int
    moved: int


class Skipped(NamedTuple):
    """A part that the host cannot take was left out, and all others were done.

    `ip` is the address, or the prefix; `reason` is what the part alone would have been refused with.
    """

    name: str
    ip: str
    type: RRType
    reason: Refusal


class Limited(NamedTuple):
    """The client asks too often; nothing was done. `retry_after` in seconds."""

    retry_after: float


Result = Updated | Unchanged | Moved | Skipped
Answer = Refusal | Limited | tuple[Result, ...]
"""Of a success: a result for each record that was asked for, in their order; what was skipped comes last."""


def result_of(answer: Answer) -> str:
    """Return the one word for an answer: the `result` label of the request metrics."""
    if isinstance(answer, Refusal):
        return answer.name.lower()
    if isinstance(answer, Limited):
        return "limited"
    for result in answer:
        if is_change(result):
            return "updated"
    return "unchanged"


def is_plain(answer: Answer) -> bool:
    """Say whether an answer is that one record is unchanged, as nearly all are: to be quick with those."""
    return type(answer) is tuple and len(answer) == 1 and type(answer[0]) is Unchanged


def is_change(result: Result) -> bool:
    """Say whether anything is another now."""
    return isinstance(result, Updated) or (isinstance(result, Moved) and result.moved > 0)
