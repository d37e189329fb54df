"""What a client asks for, read once; decided again whenever the state has moved."""

from collections.abc import Sequence
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
    parse_address,
    read_address,
)
from ddnsd.model.answers import Refusal
from ddnsd.model.challenges import is_challenge
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.prefixes import Prefix, parse_prefix, read_prefix
from ddnsd.model.request import Request


class Wish(NamedTuple):
    """What one record shall hold: an address; a value that a TXT shall hold, too; "" to be withdrawn."""

    type: RRType
    value: str


class Target(NamedTuple):
    """What is asked of one name.

    With `moves` all hosts that follow prefixes shall follow this one; without it that is asked for
    beside this target, which only has to agree with it. `unreachable` are left out: addresses, or a prefix as
    text, that the Internet cannot reach where those are refused.
    """

    name: str | None  # None: no such name can exist
    wishes: tuple[Wish, ...] | None  # in the order of RRTYPES; None: no record can have such a content
    prefix: Prefix | None = None
    moves: bool = True
    unreachable: tuple[Wish, ...] = ()
    wildcard: bool = False  # the name was written as `*.<name>`, as of a host that has one


class Attempt(NamedTuple):
    """All that is done together or not at all, by whoever has the token with this digest."""

    digest: str
    user: str  # the token's name, if the client has to know it
    targets: tuple[Target, ...]
    short: bool = False  # whether single labels among the names stand for hosts of the token

    @property
    def name(self) -> str:
        """The first name, "" where no such name can exist."""
        return self.targets[0].name or ""


def read(requests: Sequence[Request], digest: str, *, private: bool) -> Attempt | Refusal:
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
    return Attempt(digest, requests[0].user, once, requests[0].short)


def _once(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return each target once, in their order: a name that is asked for twice is changed once."""
    asked: dict[Target, Target] = {}
    for target in targets:
        same = target._replace(moves=False, wildcard=False)
        before = asked.get(same)
        if before is not None:
            wildcard = before.wildcard or target.wildcard
            target = target._replace(moves=before.moves or target.moves, wildcard=wildcard)
        asked[same] = target
    return tuple(asked.values())


class _Contents(NamedTuple):
    """What is asked of a name's records; the fields are those of a `Target`."""

    wishes: tuple[Wish, ...] | None
    prefix: Prefix | None = None
    unreachable: tuple[Wish, ...] = ()


_WILDCARD = "*."
_MALFORMED = _Contents(None)


def _target(request: Request, private: bool) -> Target:
    host = request.domain.removeprefix(_WILDCARD)
    wildcard = host != request.domain
    try:
        name = parse_name(host)
    except InvalidNameError:
        name = None
    if request.ipv6 or request.more or request.prefix or request.clear or request.text:
        wishes, prefix, unreachable = _contents(request, private)
        return Target(name, wishes, prefix, request.moves, unreachable, wildcard)
    if request.strays and not request.ip and _is_address_among(request.strays):
        return Target(name, None, None, request.moves)  # the client means that, and not its own
    text = request.ip or request.source  # alone, as nearly always
    wish = _wish(text, private) if len(text) <= MAX_TEXT else None
    return Target(name, (wish,) if wish else None, None, request.moves, (), wildcard)


def _contents(request: Request, private: bool) -> _Contents:
    if request.clear:
        cleared = tuple(Wish(type, "") for type in RRTYPES if type in request.clear)
        return _beside(_Contents(cleared), request.prefix, private)
    if request.text:
        value = (Wish(Challenge.TXT, request.text),) if is_challenge(request.text) else None
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
        return contents._replace(unreachable=(*contents.unreachable, Wish(Family.AAAA, prefix)))
    except InvalidAddressError:
        return _MALFORMED


# Both are kept, and so is what is malformed: the hosts of one call have them in common.
@lru_cache(maxsize=8192)
def _wish(text: str, private: bool) -> Wish | None:
    try:
        return Wish(*parse_address(text, private=private))
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
    found: dict[RRType, Wish] = {}
    unreachable: list[Wish] = []
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
