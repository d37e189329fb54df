"""What strangers may send to each API: every endpoint x parameter x filler, of any size, and what it costs.

The public listener, its routes and the update service are the real ones, on an embedded store.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from ddnsd.model.ratelimit import Rate
from ddnsd.model.resources import digest
from ddnsd.service.limits import FairUse
from ddnsd.store.embedded import open_embedded
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.forms import MAX_TEXT
from ddnsd.web.health import HealthEndpoint
from ddnsd.web.routes import public_routes
from tests.rigs.documents import document
from tests.service.registry_node import account, host, node_on, zone
from tests.web.public_place import PublicPlace, unlimited

KNOWN, UNKNOWN = "secret-of-a-router-0123", "nobody-has-this-token-01"
MOST_IN_ONE = 4000  # octets of filler: what a single parameter may have
MOST_IN_HEAD, MOST_IN_BODY = 14_000, 60_000  # octets of filler, below `http.max_header` and `http.max_body`
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_LOOPBACK = ip_network("127.0.0.0/8")
_NOT_THERE = "none.example.com"

_Filler = Callable[[int], str]


class Attack(NamedTuple):
    """One way to send much. `message` returns the octets for a token and a size of the filler."""

    title: str
    most: int  # octets of filler
    message: Callable[[str, int], bytes]


def _repeated(unit: str) -> _Filler:
    octets = unit.encode().decode("latin-1")  # a query, or a form, is octets
    return lambda size: (octets * (size // len(octets) + 1))[:size]


def _addresses(size: int) -> str:
    text, numbers = "", count(1)
    return ",".join(f"2001:db8::{next(numbers):x}" for _ in range(size // 15))[:size] or text


FILLERS: Mapping[str, _Filler] = {
    "addresses": _addresses,
    "commas": _repeated(","),
    "percents": _repeated("%"),
    "escapes": _repeated("%c3%a9"),
    "marks": _repeated("a\u0301\u0316"),
    "labels": _repeated("é."),
    # Of 200 octets: as many as one call may have, and as dear.
    "long names": _repeated("a\u0301\u0316" * 32 + "x" * 35 + ".com,"),
    "deep names": _repeated(("é" + "\u0301" * 7 + ".") * 8 + "c" * 63 + ","),
    "letters": _repeated("a"),
    "slashes": _repeated("1/"),
    "proxies": _repeated("127.0.0.1,"),
}
PARAMETERS: Mapping[str, tuple[str, Sequence[str]]] = {
    "/api/ddns/update": (
        f"domain={_NOT_THERE}&token=TOKEN",
        ("domain", "ip", "ipv6", "ip6lanprefix", "record_type", "clear", "token", "x"),
    ),
    "/nic/update": (
        f"hostname={_NOT_THERE}&password=TOKEN",
        ("hostname", "myip", "myipv6", "ip6lanprefix", "offline", "password", "x"),
    ),
    "/update": (
        f"domains={_NOT_THERE}&token=TOKEN",
        ("domains", "ip", "ipv6", "ip6lanprefix", "txt", "clear", "verbose", "token", "x"),
    ),
}
_IN_JSON: Mapping[str, tuple[Mapping[str, str], Sequence[str]]] = {
    "/api/ddns/update": ({"domain": _NOT_THERE, "token": "TOKEN"}, ("domain", "ip", "ipv6", "token", "x")),
    "/update": ({"subdomain": _NOT_THERE, "txt": "x" * 43}, ("subdomain", "txt", "x")),
}
_IN_HEADER = ("Authorization: Basic ", "Authorization: Bearer ", "X-Forwarded-For: ", "Forwarded: for=")


def attacks() -> Iterator[Attack]:
    """Yield all of them."""
    for path, (query, names) in PARAMETERS.items():
        for name in names:
            for filler in FILLERS:
                yield Attack(
                    f"{path} query {name} {filler}", MOST_IN_HEAD, _in_query(path, query, name, filler)
                )
                yield Attack(
                    f"{path} form {name} {filler}", MOST_IN_BODY, _in_form(path, query, name, filler)
                )
        for unit in ("&", "x=1&", "x&", "%41=1&", "x=%&", "x=2001:db8::7&"):
            yield Attack(f"{path} form of {unit}", MOST_IN_BODY, _whole_form(path, query, unit))
        for header in _IN_HEADER:
            for filler in ("addresses", "commas", "letters", "proxies"):
                yield Attack(
                    f"{path} {header}{filler}", MOST_IN_HEAD, _in_header(path, query, header, filler)
                )
    for path, (fields, names) in _IN_JSON.items():
        for name in names:
            for filler in FILLERS:
                yield Attack(
                    f"{path} JSON {name} {filler}", MOST_IN_BODY, _in_json(path, fields, name, filler)
                )
        for unit in ("[", '{"a":', '"a":1,'):
            yield Attack(f"{path} JSON of {unit}", MOST_IN_BODY, _whole_json(path, unit))
    for path in (*PARAMETERS, "/api/ddns/ip", "/healthz", "/x"):
        for unit in ("a:\r\n", "Authorization: Basic x\r\n", "X-Forwarded-For: 127.0.0.1\r\n"):
            yield Attack(f"{path} headers {unit[:-2]}", MOST_IN_HEAD, _many_headers(path, unit))
    for filler in FILLERS:
        for place in ("{}/TOKEN", f"{_NOT_THERE}/{{}}", f"{_NOT_THERE}/TOKEN/{{}}"):
            yield Attack(f"/update/{place} {filler}", MOST_IN_HEAD, _in_path(place, filler))
        for path in ("/api/ddns/ip", "/nic/checkip", "/healthz"):
            yield Attack(f"{path} format {filler}", MOST_IN_HEAD, _in_query(path, "", "format", filler))


def _sent(method: str, target: str, token: str, *fields: str, body: str = "", type: str = "") -> bytes:
    lines = [*fields, *((f"Content-Type: {type}", f"Content-Length: {len(body)}") if type else ())]
    head = "".join(f"{line}\r\n" for line in lines)
    text = f"{method} {target} HTTP/1.1\r\nHost: x\r\n{head}\r\n{body}"
    return text.replace("TOKEN", token).encode("latin-1")


def _with(query: str, name: str, value: str) -> str:
    """Return the query with this value in place of its own."""
    others = [field for field in query.split("&") if field and not field.startswith(f"{name}=")]
    return "&".join((*others, f"{name}={value}"))


def _in_query(path: str, query: str, name: str, filler: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        value = FILLERS[filler](size).replace(" ", "+")
        return _sent("GET", f"{path}?{_with(query, name, value)}", token)

    return message


def _in_form(path: str, query: str, name: str, filler: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        body = _with(query.replace("TOKEN", token), name, FILLERS[filler](size))
        return _sent("POST", path, token, body=body, type=_FORM)

    return message


def _whole_form(path: str, query: str, unit: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        body = f"{query.replace('TOKEN', token)}&{_repeated(unit)(size)}"
        return _sent("POST", path, token, body=body, type=_FORM)

    return message


def _in_header(path: str, query: str, header: str, filler: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        return _sent("GET", f"{path}?{query}", token, header + FILLERS[filler](size))

    return message


def _many_headers(path: str, unit: str) -> Callable[[str, int], bytes]:
    query = PARAMETERS[path][0] if path in PARAMETERS else ""

    def message(token: str, size: int) -> bytes:
        head = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\n".replace("TOKEN", token)
        return f"{head}{unit * (size // len(unit))}\r\n".encode()

    return message


def _in_json(path: str, given: Mapping[str, str], name: str, filler: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        fields = {**given, name: FILLERS[filler](size)}
        body = "{" + ",".join(f'"{key}":"{value}"' for key, value in fields.items()) + "}"
        return _acme(path, token, body.replace("TOKEN", token))

    return message


def _whole_json(path: str, unit: str) -> Callable[[str, int], bytes]:
    return lambda token, size: _acme(path, token, "{" + _repeated(unit)(size))


def _acme(path: str, token: str, body: str) -> bytes:
    return _sent("POST", path, token, "X-Api-User: router", "X-Api-Key: TOKEN", body=body, type=_JSON)


def _in_path(place: str, filler: str) -> Callable[[str, int], bytes]:
    def message(token: str, size: int) -> bytes:
        return _sent("GET", "/update/" + place.format(FILLERS[filler](size)), token)

    return message


class Victim:
    """A public listener in this process, with a token that is known and one host."""

    def __init__(self, place: PublicPlace) -> None:
        self._place = place

    async def asked(self, message: bytes) -> bytes:
        """Return the first octets of the answer, b"" if there is none."""
        reader, writer = await self._place.connect()
        writer.write(message)
        answer = await reader.read(65536)
        writer.close()
        return answer

    async def cost(self, message: bytes, times: int) -> float:
        """Return the process' CPU seconds for a request, its client's among them; the least of several."""
        reader, writer = await self._place.connect()
        best = float("inf")
        for _ in range(times):
            started = time.process_time()
            writer.write(message)
            answer = await reader.read(65536)
            best = min(best, time.process_time() - started)
            if not answer or b"Connection: close" in answer:
                reader, writer = await self._place.connect()
        writer.close()
        return best


@asynccontextmanager
async def victim(folder: Path, failures: Rate | None = None) -> AsyncIterator[Victim]:
    """Serve; with `failures` nobody may fail more often, nor a token ask twice: the clock stands still."""
    store = await open_embedded(folder)
    try:
        async with node_on(store) as node:
            token = document("Token", "router", account="alice", sha256=digest(KNOWN))
            blog = host("blog.example.com")
            await node.registry.apply([zone("example.com"), account("alice"), token, blog])
            fair_use = FairUse(unlimited(failures), clock=lambda: 0.0)
            service = node.update_service(fair_use=fair_use)
            ability = HealthEndpoint(node.cache.when_current, lambda: True, 1.5)
            sources, metrics = SourceFinder((_LOOPBACK,)), Metrics(CollectorRegistry())
            routes = public_routes(service, sources, metrics, ability)
            async with PublicPlace(routes, max_body=MAX_TEXT, trusted=(_LOOPBACK,)) as place:
                yield Victim(place)
                await service.drain()
    finally:
        await store.close()
