"""DNS cookies (RFC 7873), made as RFC 9018 says: a client that shows ours has got an answer at its address.

So its answers cannot hit anybody else, and are not limited. The server's half is a keyed hash over the
client's half, the time and the client's address, so that nothing is kept.
"""

import hmac
import secrets
import struct
import time
from collections.abc import Callable
from functools import lru_cache

from ddnsd.nameserver.embedded.ratelimit import packed

CLIENT = 8  # octets of the client's half
WHOLE = 24  # octets of both halves of ours
_HEAD = struct.Struct("!B3xI")  # version, reserved, seconds (RFC 9018 §4)
_VERSION = 1
_PAST, _FUTURE = 3600, 300  # seconds that a cookie may be old, or ahead (RFC 9018 §4.3)
_RENEWED = 1800  # seconds after which a client gets a new one
_MASK = (1 << 64) - 1
_WORDS = struct.Struct("<Q")


class Cookies:
    """Makes and checks cookies with a secret of this process; after a restart clients get new ones."""

    def __init__(self, secret: bytes | None = None, clock: Callable[[], float] = time.time) -> None:
        """`secret` has 16 octets."""
        self._secret = secret or secrets.token_bytes(16)
        self._clock = clock

    def is_valid(self, cookie: bytes, source: str) -> bool:
        """Say whether both halves are those of a client at this address, not too long ago."""
        return self._age(cookie, source) is not None

    def answer(self, cookie: bytes, source: str) -> bytes:
        """Return the cookie of an answer: the client's own while it is fresh and good, else a new one."""
        age = self._age(cookie, source)
        if age is not None and age < _RENEWED:
            return cookie
        client = cookie[:CLIENT]
        head = _HEAD.pack(_VERSION, int(self._clock()) & 0xFFFF_FFFF)
        return client + head + _hash(self._secret, client + head + packed(source))

    def _age(self, cookie: bytes, source: str) -> int | None:
        """Return the seconds since a cookie was made; None of one that is not ours, or not good any more."""
        if len(cookie) != WHOLE:
            return None
        version, made = _HEAD.unpack_from(cookie, CLIENT)
        age = ((int(self._clock()) - made + (1 << 31)) & 0xFFFF_FFFF) - (1 << 31)  # RFC 1982: it may wrap
        if version != _VERSION or not -_FUTURE <= age <= _PAST:
            return None
        signed, given = cookie[: WHOLE - 8] + packed(source), cookie[WHOLE - 8 :]
        return age if hmac.compare_digest(_hash(self._secret, signed), given) else None


@lru_cache(maxsize=4096)  # a client that asks again has the same cookie
def _hash(secret: bytes, message: bytes) -> bytes:
    return _WORDS.pack(siphash24(secret, message))


def siphash24(secret: bytes, message: bytes) -> int:
    """Return SipHash-2-4 of a message (Aumasson and Bernstein, 2012); `secret` has 16 octets."""
    one, two = struct.unpack("<QQ", secret)
    state = (
        one ^ 0x736F6D6570736575,
        two ^ 0x646F72616E646F6D,
        one ^ 0x6C7967656E657261,
        two ^ 0x7465646279746573,
    )
    padded = message + bytes(7 - len(message) % 8) + bytes((len(message) & 0xFF,))
    for (word,) in _WORDS.iter_unpack(padded):
        v0, v1, v2, v3 = state
        v0, v1, v2, v3 = _rounds(2, v0, v1, v2, v3 ^ word)
        state = (v0 ^ word, v1, v2, v3)
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _rounds(4, v0, v1, v2 ^ 0xFF, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _rounds(count: int, v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    for _ in range(count):
        v0 = (v0 + v1) & _MASK
        v1 = ((v1 << 13 | v1 >> 51) & _MASK) ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _MASK
        v2 = (v2 + v3) & _MASK
        v3 = ((v3 << 16 | v3 >> 48) & _MASK) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = ((v3 << 21 | v3 >> 43) & _MASK) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = ((v1 << 17 | v1 >> 47) & _MASK) ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _MASK
    return v0, v1, v2, v3
