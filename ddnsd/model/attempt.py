"""What a client asks for, read once; decided again whenever the state has moved."""

from collections.abc import Sequence
from typing import NamedTuple

from .addresses import RRTYPES, Address, Challenge, Family, InvalidAddressError, RRType, parse_address
from .answers import Refusal
from .challenges import is_challenge
from .names import InvalidNameError, parse_name
from .prefixes import Prefix, parse_prefix
from .request import Request
from .tokens import digest


class Wish(NamedTuple):
    """What one record shall hold: an address; a value that a TXT shall hold, too; "" to be withdrawn."""

    type: RRType
    value: str


class Target(NamedTuple):
    """What is asked of one name.

    With `moves` all hosts that follow prefixes shall follow this one; without it that is asked for
    beside this target, which only has to agree with it.
    """

    name: str | None  # None: no such name can exist
    wishes: tuple[Wish, ...] | None  # in the order of RRTYPES; None: no record can have such a content
    prefix: Prefix | None = None
    moves: bool = True


class Attempt(NamedTuple):
    """All that is done together or not at all, by whoever has the token with this digest."""

    digest: str
    user: str  # the token's name, if the client has to know it
    targets: tuple[Target, ...]


def read(requests: Sequence[Request], *, private: bool) -> Attempt | Refusal:
    """Read the requests' parts; refuse them where one is missing.

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
    return Attempt(digest(requests[0].token), requests[0].user, once)


def _once(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return each target once, in their order: a name that is asked for twice is changed once."""
    asked: dict[Target, Target] = {}
    for target in targets:
        same = target._replace(moves=False)
        before = asked.get(same)
        asked[same] = before if before is not None and before.moves else target
    return tuple(asked.values())


def _target(request: Request, private: bool) -> Target:
    try:
        name = parse_name(request.domain)
    except InvalidNameError:
        name = None
    try:
        prefix = parse_prefix(request.prefix, private=private) if request.prefix else None
        return Target(name, _wishes(request, private), prefix, request.moves)
    except InvalidAddressError:
        return Target(name, None)


def _wishes(request: Request, private: bool) -> tuple[Wish, ...]:
    if request.clear:
        return tuple(Wish(type, "") for type in RRTYPES if type in request.clear)
    if request.text:
        if not is_challenge(request.text):
            raise InvalidAddressError("not a value of an ACME challenge")
        return (Wish(Challenge.TXT, request.text),)
    if not (request.ipv6 or request.prefix):  # as nearly always
        return (Wish(*parse_address(request.ip or request.source, private=private)),)
    found: dict[Family, str] = {}
    for address in _addresses(request, private):
        if found.setdefault(address.family, address.ip) != address.ip:
            raise InvalidAddressError("two addresses of one family")
    return tuple(Wish(family, found[family]) for family in Family if family in found)


def _addresses(request: Request, private: bool) -> list[Address]:
    addresses = [parse_address(request.ip, private=private)] if request.ip else []
    if request.ipv6:
        address = parse_address(request.ipv6, private=private)
        if address.family is not Family.AAAA:
            raise InvalidAddressError(f"not an IPv6 address: {request.ipv6[:64]!r}")
        addresses.append(address)
    return addresses
