"""Requests that no sensible client sends: mutations of good ones by a grammar, and plain noise.

The same seed gives the same requests. `CANARY` stands where people put a token by mistake.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar
from urllib.parse import quote, quote_from_bytes

from tests.system.installation import SECRET, UPDATE

CANARY = "canary-Zq7mP2xV9kLw4TgR8sYb"

Choice = TypeVar("Choice")

MAX_HEAD, MAX_FIELDS = 16_384, 1000  # octets and parameters; beyond, Tornado answers below the handlers


class Input(NamedTuple):
    """Bytes to send. A `whole` one is a legal HTTP message: it is owed an answer in JSON."""

    method: str
    octets: bytes
    whole: bool


class Grammar(NamedTuple):
    """What is particular to a listener: its paths, the headers with a token, and its JSON bodies.

    `parameters` are what a name, an address and a token are called there.
    """

    paths: Sequence[str]
    credentials: Sequence[str]
    documents: Sequence[object]
    parameters: Sequence[tuple[str, str, str]] = (("domain", "ip", "token"),)


NAMES = ("blog.example.com", "Blog.Example.COM.", "example.com", "none.example.com", "bücher.example.com")
ADDRESSES = ("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "fe80::1%eth0", "256.1.1.1", "0x7f.1", "::", "1")
ODD_TEXTS = (
    "",
    " ",
    "\0",
    "a\0.example.com",
    "\r\nX-Evil: 1",
    "\ud7ff\U0001f4a9",
    "xn--",
    "xn--999999999.example.com",
    "ａ。example。com",  # full-width, as U-labels may be
    "ß" * 300,
    "." * 80,
    "a." * 130,
    "-",
    "١٩٢.0.2.1",
    "${jndi:ldap://x}",
    "%s%n",
    "null",
    "x" * 4000,
    "'\"<>&=;,\\",
    CANARY,
)
METHODS = (
    ("GET",) * 8 + ("POST",) * 6 + ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get")
)
PARAMETERS = ("domain", "ip", "token", "Domain", "domain[]", "limit", "continue", "cascade", "", "myip", "\0")
CONTENT_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin-1",
    "multipart/form-data; boundary=x",
    "application/yaml",
    "text/plain",
    "APPLICATION/JSON;;",
    ",",
)
FORWARDED = (
    "for=192.0.2.1",
    'for="[2001:db8::1]:80";proto=https, for=unknown',
    'for="',
    "for=_hidden, for=127.0.0.1",
    "192.0.2.1, 127.0.0.1",
    "127.0.0.1" + ",127.0.0.1" * 100,
    "[::1%lo]:99999",
    ",,,;=",
    "\xff",
)
ODD_JSON = (
    b"",
    b"null",
    b"[]",
    b'{"domain":1e400}',
    b'{"domain":' + b"9" * 5000 + b"}",
    b'{"domain":"\\ud800.example.com","token":"\\udfff"}',
    b'{"domain":"a","domain":"b","token":"\\u0000"}',
    b"[" * 20_000,
    b'{"spec":' * 5_000,
    b"\xef\xbb\xbf{}",
    '{"domain":"blog.example.com"}'.encode("utf-16"),
    b'{"domain":NaN}',
    b'{"token":"' + CANARY.encode() + b'","domain":["',
    b"&" * 3000,
    b"token=%s&domain=%%ff" % CANARY.encode(),
    b"%" * 1000,
    b"a: &a [*a, *a]\n",
    b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n",
    b"!!python/object/apply:os.system [id]",
    b"--- \n---\n...\n\t",
)

PROXY_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
ODD_HEADERS = (
    "If-Match: *",
    'If-Match: "1"',
    'If-Match: "99999999999999999999"',
    'If-Match: "',
    "Expect: 100-continue",
    "Connection: close",
    "Connection: keep-alive, x",
    "Upgrade: h2c",
    "Content-Encoding: gzip",
)
_GET = f"GET {UPDATE}?domain=blog.example.com&token={CANARY}"
_FIRST = f"{_GET} HTTP/1.1\r\nHost: x\r\n"
_POST = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = f"{_POST}Transfer-Encoding: chunked\r\n"
BENT = (
    f"{_GET}\r\n\r\n",  # HTTP/0.9
    f"{_GET} HTTP/2.0\r\nHost: x\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    f"{_GET} HTTP/1.1\nHost: x\n\n",
    f"{_FIRST}Host: {CANARY}\r\n\r\n",
    f"{_GET} HTTP/1.1\r\nHost: x/{CANARY}\r\n\r\n",
    f"{_FIRST}X-{CANARY} : y\r\n\r\n",
    f"{_FIRST}{CANARY}\r\n\r\n",
    f"{_FIRST}Authorization: {CANARY}\0\r\n\r\n",
    f"{_FIRST}Cookie: a\r\n {CANARY}\r\n\r\n",
    f"GET /{CANARY} {CANARY} HTTP/1.1\r\nHost: x\r\n\r\n",
    f"{_FIRST}X: {'y' * 20_000}\r\n\r\n",
    _FIRST + "X: y\r\n" * 2000 + "\r\n",
    f"{CANARY} / HTTP/1.1\r\nHost: x\r\n\r\n",
    f"{_POST}Content-Length: {'9' * 5000}\r\n\r\n",
    f"{_POST}Content-Length: -1\r\n\r\n{CANARY}",
    f"{_POST}Content-Length: {CANARY}\r\n\r\n",
    f"{_POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    f"{_POST}Content-Length: 999999999999\r\n\r\n{CANARY}",
    f"{_CHUNKED}Content-Length: 4\r\n\r\n0\r\n\r\n",
    f"{_POST}Transfer-Encoding: {CANARY}\r\n\r\n0\r\n\r\n",
    f"{_CHUNKED}\r\n{CANARY}\r\n",
    f"{_CHUNKED}\r\nFFFFFFFFFF\r\n",
    f"{_CHUNKED}\r\n5;a={CANARY}\r\nabcde\r\n",
    f"{_CHUNKED}\r\n" + "1\r\nx\r\n" * 500,
)
_VISIBLE = bytes(octet if octet > 0x20 and octet != 0x7F else 0x21 for octet in range(256))


class Hostile:
    """Makes hostile inputs for one listener, the same ones for the same seed."""

    def __init__(self, grammar: Grammar, seed: int) -> None:
        self._grammar = grammar
        self._random = random.Random(seed)
        self._makers: tuple[Callable[[], Input], ...] = (
            *[self._whole] * 12,
            self._noise,
            self._bent,
            self._cut,
        )

    def next(self) -> Input:
        return self._random.choice(self._makers)()

    def _one(self, choices: Sequence[Choice]) -> Choice:
        return self._random.choice(choices)

    def _chance(self, percent: float) -> bool:
        return self._random.random() * 100 < percent

    def _whole(self) -> Input:
        """Return a request that is well-formed as HTTP, whatever it says."""
        method = self._one(METHODS)
        headers = ["Host: localhost", *self._headers()]
        body, framing = b"", ""
        if self._chance(80 if method in ("POST", "PUT", "PATCH") else 10):
            headers.append(f"Content-Type: {self._one(CONTENT_TYPES)}")
            framing, body = self._framed(self._body())
            headers.append(framing)
        self._random.shuffle(headers)
        target = self._target()
        head = f"{method} {target} HTTP/1.{int(self._chance(95) or framing.endswith('chunked'))}"
        octets = _message(head, headers, body)
        # Of a list of lengths, and of chunks in HTTP/1.0, RFC 9112 (§6.1, §6.3) wants nothing to be taken.
        fits = len(octets) - len(body) <= MAX_HEAD and target.count("&") < MAX_FIELDS
        return Input(method, octets, fits and "," not in framing)

    def _target(self) -> str:
        path = self._one(self._grammar.paths)
        query = self._query()
        target = f"{path}?{query}" if query else path
        if self._chance(4):
            target = self._one(
                ("http://[", "http://x\xbd@y:z", "HTTPS://u:p@h:1", "x:", "//", "*", "?", "h:443#")
            )
            target += path
        return target

    def _query(self) -> str:
        count = self._one((0, 1, 2, 3, 3, 3, 3, 4, 70, 1200 if self._chance(5) else 5))
        name, ip, token = self._one(self._grammar.parameters)
        good = [
            (name, self._one(NAMES)),
            (ip, self._one(ADDRESSES)),
            (token, self._one((SECRET, CANARY))),
        ]
        pairs = good[:count] + [(self._one(PARAMETERS), self._text()[:20]) for _ in range(count - 3)]
        if self._chance(30):
            pairs[:1] = [(self._one(PARAMETERS), self._text())]
        return self._one(("&", "&", "&", ";", "&&")).join(
            f"{self._coded(n)}={self._coded(v)}" for n, v in pairs
        )

    def _text(self) -> str:
        return self._one((*NAMES, *ADDRESSES, *ODD_TEXTS))

    def _coded(self, text: str) -> str:
        octets = text.encode()
        match self._random.randrange(12):
            case 0:
                return "".join(f"%{octet:02x}" for octet in octets)
            case 1:
                return quote(quote(text))
            case 2:
                return quote_from_bytes(octets[:-1]) + "%f"
            case 3:
                return quote_from_bytes(octets) + self._one(("%ff", "%", "%zz", "+", "%00", "%ed%a0%80"))
            case 4:  # not encoded at all, as far as a request line can hold it
                return "".join(chr(octet) for octet in octets if octet > 0x20 and octet != 0x7F)
            case _:
                return quote(text)

    def _headers(self) -> list[str]:
        headers = []
        if self._chance(85):
            headers.append(f"Authorization: {self._one(self._grammar.credentials)}")
        if self._chance(30):
            headers.append(f"{self._one(PROXY_HEADERS)}: {self._one(FORWARDED)}")
        if self._chance(10):
            headers += [f"Cookie: token={CANARY}", f"X-Token: {CANARY}", f"Referer: http://x/?token={CANARY}"]
        if self._chance(10):
            headers.append("User-Agent: x" + self._random.randbytes(20).translate(_VISIBLE).decode("latin-1"))
        if self._chance(3):
            headers += [f"X-{number}: {number}" for number in range(self._random.randrange(300))]
        if self._chance(3):
            headers.append(f"X-Long: {'y' * self._random.randrange(6000)}")
        if self._chance(20):
            headers.append(self._one(ODD_HEADERS))
        return headers

    def _body(self) -> bytes:
        if self._chance(30):
            return self._one(ODD_JSON)
        if self._chance(30):
            return self._query().encode("latin-1")
        if self._chance(2):
            return b"z" * self._one((65_536, 65_537, 90_000))
        body = json.dumps(self._one(self._grammar.documents), ensure_ascii=self._chance(50)).encode()
        return self._flipped(body) if self._chance(40) else body

    def _framed(self, body: bytes) -> tuple[str, bytes]:
        if self._chance(75):
            length = f"{len(body)}"
            return f"Content-Length: {f'{length}, {length}' if self._chance(5) else length.zfill(4)}", body
        chunks = b""
        while body:
            size = self._random.randrange(1, max(2, min(len(body), 5000)) + 1)
            chunk, body = body[:size], body[size:]
            chunks += b"%X\r\n%b\r\n" % (len(chunk), chunk)
        return "Transfer-Encoding: chunked", chunks + b"0\r\n\r\n"

    def _noise(self) -> Input:
        return Input("", self._random.randbytes(self._one((0, 1, 4, 30, 300, 3000, 20_000))), False)

    def _bent(self) -> Input:
        """Return a request that breaks HTTP's own rules."""
        return Input("", self._one(BENT).encode("latin-1"), False)

    def _cut(self) -> Input:
        """Return a good request, cut off or with a few octets changed."""
        octets = self._whole().octets
        if self._chance(50):
            return Input("", octets[: self._random.randrange(len(octets))], False)
        return Input("", self._flipped(octets), False)

    def _flipped(self, octets: bytes) -> bytes:
        changed = bytearray(octets)
        for _ in range(self._random.randint(1, 4) if changed else 0):
            changed[self._random.randrange(len(changed))] = self._random.randrange(256)
        return bytes(changed)


def _message(start: str, headers: Sequence[str], body: bytes) -> bytes:
    return "\r\n".join((start, *headers, "", "")).encode("latin-1") + body
