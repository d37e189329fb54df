"""What a client asks for, by any of the APIs, and what it can be answered, as values.

A request is read once, and decided again whenever the state has moved. The answers are the messages and
statuses of the contract.
"""

from collections.abc import Sequence
from enum import Enum, StrEnum
from functools import lru_cache
from typing import NamedTuple

from ddnsd.model.addresses import (
    MAX_TEXT,
    RRTYPES,
    Challenge,
    Family,
    InvalidAddressError,
    RRType,
    UnreachableAddressError,
    is_challenge,
    parse_address,
    read_address,
)
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.prefixes import Prefix, parse_prefix, read_prefix


class Api(StrEnum):
    """The ways in. The value is the `api` label of the request metrics, and stands in the history."""

    UPDATE = "update"  # /api/ddns/update
    DYNDNS2 = "dyndns2"  # /nic/update
    DUCKDNS = "duckdns"  # GET /update
    ACME_DNS = "acme_dns"  # POST /update
    EXPIRY = "expiry"  # no client: a host was not refreshed, or a challenge is over
    ADOPTION = "adoption"  # no client: the zone lets its hosts take what stood at their names


class Request(NamedTuple):
    """What a client asks of one name. An absent parameter is the empty string.

    The client's own address counts only where nothing else says what to do.
    """

    domain: str
    ip: str  # of either family
    token: str
    source: str  # the client's own address as seen from here, "" if it cannot be known
    ipv6: str = ""
    more: tuple[str, ...] = ()  # further addresses, of either family
    strays: tuple[str, ...] = ()  # under names that the API does not know: an address there is a mistake
    prefix: str = ""  # such as 2001:db8:1:2::/56: moves all hosts with an interface identifier
    moves: bool = True  # False: another request of the same call makes that move
    clear: tuple[RRType, ...] = ()  # records to withdraw
    text: str = ""  # a value for the TXT record of ACME challenges
    user: str = ""  # that the token must be named after; "": no matter
    short: bool = False  # whether a single label stands for the one host of the token that begins with it
    peer: str = ""  # of the connection: a proxy's, where the client's own address is not that
    api: Api = Api.UPDATE


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


HostResult = Updated | Unchanged | Moved | Skipped
UpdateResult = Refusal | Limited | tuple[HostResult, ...]
"""Of a success: a result for each record that was asked for, in their order; what was skipped comes last."""


def result_of(answer: UpdateResult) -> str:
    """Return the one word for an answer: the `result` label of the request metrics."""
    if isinstance(answer, Refusal):
        return answer.name.lower()
    if isinstance(answer, Limited):
        return "limited"
    for result in answer:
        if is_change(result):
            return "updated"
    return "unchanged"


def is_change(result: HostResult) -> bool:
    """Say whether anything is another now."""
    return isinstance(result, Updated) or (isinstance(result, Moved) and result.moved > 0)


class RRsetChange(NamedTuple):
    """What one record shall hold: an address; a value that a TXT shall hold, too; "" to be withdrawn."""

    type: RRType
    value: str


class HostChange(NamedTuple):
    """What is asked of one name.

    With `moves` all hosts that follow prefixes shall follow this one; without it that is asked for
    beside this target, which only has to agree with it. `unreachable` are left out: addresses, or a prefix as
    text, that the Internet cannot reach where those are refused.
    """

    name: str | None  # None: no such name can exist
    wishes: tuple[RRsetChange, ...] | None  # in the order of RRTYPES; None: no record can have such a content
    prefix: Prefix | None = None
    moves: bool = True
    unreachable: tuple[RRsetChange, ...] = ()
    wildcard: bool = False  # the name was written as `*.<name>`, as of a host that has one


class UpdateRequest(NamedTuple):
    """All that is done together or not at all, by whoever has the token with this digest."""

    digest: str
    user: str  # the token's name, if the client has to know it
    targets: tuple[HostChange, ...]
    short: bool = False  # whether single labels among the names stand for hosts of the token

    @property
    def name(self) -> str:
        """The first name, "" where no such name can exist."""
        return self.targets[0].name or ""


def read(requests: Sequence[Request], digest: str, *, private: bool) -> UpdateRequest | Refusal:
    """Read the parts of requests with one token, whose digest this is; refuse them where one is missing.

    A malformed part is not refused yet: which refusal comes first depends on the state.
    """
    targets = []
    for request in requests:
        if not request.domain:
            return Refusal.MISSING_DOMAIN
        if not request.token:
            return Refusal.MISSING_TOKEN
        targets.append(_target(request, private))
    once = _once(targets) if len(targets) > 1 else tuple(targets)
    return UpdateRequest(digest, requests[0].user, once, requests[0].short)


def _once(targets: Sequence[HostChange]) -> tuple[HostChange, ...]:
    """Return each target once, in their order: a name that is asked for twice is changed once."""
    asked: dict[HostChange, HostChange] = {}
    for target in targets:
        same = target._replace(moves=False, wildcard=False)
        before = asked.get(same)
        if before is not None:
            wildcard = before.wildcard or target.wildcard
            target = target._replace(moves=before.moves or target.moves, wildcard=wildcard)
        asked[same] = target
    return tuple(asked.values())


class _Contents(NamedTuple):
    """What is asked of a name's records; the fields are those of a `HostChange`."""

    wishes: tuple[RRsetChange, ...] | None
    prefix: Prefix | None = None
    unreachable: tuple[RRsetChange, ...] = ()


_WILDCARD = "*."
_MALFORMED = _Contents(None)


def _target(request: Request, private: bool) -> HostChange:
    host = request.domain.removeprefix(_WILDCARD)
    wildcard = host != request.domain
    try:
        name = parse_name(host)
    except InvalidNameError:
        name = None
    if request.ipv6 or request.more or request.prefix or request.clear or request.text:
        wishes, prefix, unreachable = _contents(request, private)
        return HostChange(name, wishes, prefix, request.moves, unreachable, wildcard)
    if request.strays and not request.ip and _is_address_among(request.strays):
        return HostChange(name, None, None, request.moves)  # the client means that, and not its own
    text = request.ip or request.source  # alone, as nearly always
    wish = _wish(text, private) if len(text) <= MAX_TEXT else None
    return HostChange(name, (wish,) if wish else None, None, request.moves, (), wildcard)


def _contents(request: Request, private: bool) -> _Contents:
    if request.clear:
        cleared = tuple(RRsetChange(type, "") for type in RRTYPES if type in request.clear)
        return _beside(_Contents(cleared), request.prefix, private)
    if request.text:
        value = (RRsetChange(Challenge.TXT, request.text),) if is_challenge(request.text) else None
        return _beside(_Contents(value), request.prefix, private)
    texts = (request.ip, request.ipv6, request.prefix, *request.more)
    if max(map(len, texts)) > MAX_TEXT:
        return _MALFORMED
    return _addressed(*texts[:3], request.more, private)


def _beside(contents: _Contents, prefix: str, private: bool) -> _Contents:
    """Add a prefix to what is asked for."""
    if contents.wishes is None or not prefix:
        return contents
    try:
        return contents._replace(prefix=parse_prefix(prefix, private=private))
    except UnreachableAddressError:
        return contents._replace(unreachable=(*contents.unreachable, RRsetChange(Family.AAAA, prefix)))
    except InvalidAddressError:
        return _MALFORMED


# Both are kept, and so is what is malformed: the hosts of one call have them in common.
@lru_cache(maxsize=8192)
def _wish(text: str, private: bool) -> RRsetChange | None:
    try:
        return RRsetChange(*parse_address(text, private=private))
    except InvalidAddressError:
        return None


@lru_cache(maxsize=64)
def _is_address_among(texts: tuple[str, ...]) -> bool:
    """Say whether one of these is an IP address or a prefix, whether a client may send it or not."""
    for text in texts:
        for reader in (read_address, read_prefix):
            try:
                reader(text)
            except InvalidAddressError:
                continue
            return True
    return False


@lru_cache(maxsize=256)
def _addressed(ip: str, ipv6: str, prefix: str, more: tuple[str, ...], private: bool) -> _Contents:
    """Return the contents of a call with several parts: those that no host may have here are left out."""
    found: dict[RRType, RRsetChange] = {}
    unreachable: list[RRsetChange] = []
    for text in filter(None, (ip, *more, ipv6)):
        wish = _wish(text, private=True)
        if wish is None or (text is ipv6 and wish.type is not Family.AAAA):
            return _MALFORMED
        if _wish(text, private) is None:
            unreachable.append(wish)
        elif found.setdefault(wish.type, wish) != wish:  # two addresses of one family
            return _MALFORMED
    wishes = tuple(found[family] for family in Family if family in found)
    contents = _beside(_Contents(wishes, None, tuple(dict.fromkeys(unreachable))), prefix, private)
    return contents if contents.wishes or contents.prefix else _MALFORMED
