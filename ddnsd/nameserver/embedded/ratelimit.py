"""Clients that take more than a fair share: networks, response rates on UDP, places on TCP.

The source of a datagram may be forged, so that a nameserver answers to a victim what it never asked: more
octets than the attacker has sent. Response rate limiting (ISC's technical note 2012-1) bounds how often one
network gets one answer. Some of the answers that are left out are sent truncated instead ("slip"), which is
no longer than the question: a resolver that is really there asks again on TCP, where nobody can forge an
address.
"""

import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import Enum

from ddnsd.model.ratelimit import Bucket, Rate, full

_KEPT = 50_000  # buckets; then the one that was used longest ago goes
_V4_OCTETS, _V6_OCTETS = 3, 7  # of a network: /24 and /56, as BIND has them
_SITE_OCTETS = 8  # a /64: where one machine is, whatever addresses it gives itself (RFC 8981)


class Verdict(Enum):
    """What becomes of an answer."""

    SEND = "send"
    SLIP = "slip"
    DROP = "drop"


class ResponseRates:
    """Counts equal answers by network.

    `per_second` 0 lets everything pass; `slip` n truncates each nth answer that is refused, 0 none.
    """

    def __init__(
        self,
        per_second: float,
        slip: int = 2,
        clock: Callable[[], float] = time.monotonic,
        kept: int = _KEPT,
    ) -> None:
        self._rate = Rate(per_second, max(per_second, 1.0)) if per_second else None
        self._slip = slip
        self._clock = clock
        self._kept = kept
        self._accounts: OrderedDict[Hashable, tuple[Bucket, int]] = (
            OrderedDict()
        )  # with the answers refused in a row

    def verdict(self, source: str, answer: Hashable) -> Verdict:
        """Count an answer to an address; `answer` is equal for answers that an attacker may ask for at will.

        Programs of this machine are not counted: nobody else can have their addresses.
        """
        if self._rate is None or is_loopback(source):
            return Verdict.SEND
        key, now = (network(source), answer), self._clock()
        bucket, refused = self._accounts.pop(key, (full(self._rate, now), 0))
        if bucket.wait(self._rate, now) == 0.0:
            self._keep(key, bucket.taken(self._rate, now), 0)
            return Verdict.SEND
        self._keep(key, bucket, refused + 1)
        return Verdict.SLIP if self._slip and (refused + 1) % self._slip == 0 else Verdict.DROP

    def _keep(self, key: Hashable, bucket: Bucket, refused: int) -> None:
        self._accounts[key] = bucket, refused
        if len(self._accounts) > self._kept:
            self._accounts.popitem(last=False)


def network(source: str) -> bytes:
    """Return the network of an address: of IPv4 its /24, of IPv6 its /56."""
    octets = packed(source)
    return octets[: _V4_OCTETS if len(octets) == 4 else _V6_OCTETS]


def site(source: str) -> bytes:
    """Return what one client can hardly have more of: an IPv4 address, an IPv6 /64."""
    return packed(source)[:_SITE_OCTETS]


def packed(source: str) -> bytes:
    """Return the octets of an address, without the interface of a link-local one; b"" for any other text."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    try:
        return socket.inet_pton(family, source.partition("%")[0])
    except OSError:
        return b""


def is_loopback(source: str) -> bool:
    """Say whether an address is one that only programs of this machine have."""
    return source.startswith("127.") or source in ("::1", "")
