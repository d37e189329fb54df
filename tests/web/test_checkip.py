"""The client's own address, in all forms."""

from ipaddress import ip_network
from typing import Any

import pytest

from ddnsd.web.client_address import SourceFinder
from ddnsd.web.routes import JSON, TEXT, UNKNOWN, AddressEndpoint
from tests.system.http import Reply
from tests.web.served import served

BEHIND = {"X-Forwarded-For": "192.0.2.7"}
PAGE = "<html><head><title>Current IP Check</title></head><body>Current IP Address: {}</body></html>"
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


async def ask(path: str = "/checkip", *trusted: str, **headers: str) -> Reply:
    sources = SourceFinder([ip_network(each) for each in trusted])
    routes = {
        "/checkip": {"GET": AddressEndpoint(sources, TEXT)},
        "/ip": {"GET": AddressEndpoint(sources, JSON)},
    }
    async with served(routes) as client:
        return await client.send(
            "GET", path, {name.replace("_", "-"): value for name, value in headers.items()}
        )


@pytest.mark.parametrize(
    ("path", "accept", "body", "type"),
    [
        ("/checkip", "*/*", "127.0.0.1", "text/plain"),
        ("/checkip", BROWSER, PAGE.format("127.0.0.1"), "text/html"),
        ("/checkip?format=html", "*/*", PAGE.format("127.0.0.1"), "text/html"),
        ("/checkip?format=text", BROWSER, "127.0.0.1", "text/plain"),
        (
            "/checkip?format=json",
            BROWSER,
            '{"success":true,"data":{"ip":"127.0.0.1","record_type":"A"}}',
            "application/json",
        ),
        ("/checkip?format=xml", "*/*", "127.0.0.1", "text/plain"),
        ("/ip", BROWSER, '{"success":true,"data":{"ip":"127.0.0.1","record_type":"A"}}', "application/json"),
        ("/ip?format=text", "*/*", "127.0.0.1", "text/plain"),
    ],
)
async def test_the_forms(path: str, accept: str, body: str, type: str) -> None:
    reply = await ask(path, Accept=accept)
    assert (reply.status, reply.body.decode()) == (200, body)
    assert reply.headers["content-type"] == f"{type}; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"


async def test_the_address_is_the_clients_through_trusted_proxies_only() -> None:
    assert (await ask(X_Forwarded_For="192.0.2.7")).body == b"127.0.0.1"
    assert (await ask("/checkip", "127.0.0.0/8", X_Forwarded_For="192.0.2.7")).body == b"192.0.2.7"
    six = await ask("/ip", "127.0.0.0/8", X_Forwarded_For="2001:DB8::7")
    assert six.json == {"success": True, "data": {"ip": "2001:db8::7", "record_type": "AAAA"}}
    mapped = await ask("/checkip", "127.0.0.0/8", X_Forwarded_For="::ffff:192.0.2.7")
    assert mapped.body == b"192.0.2.7"


@pytest.mark.parametrize(
    "headers",
    [{}, {"X_Forwarded_For": "127.0.0.2"}, {"X_Forwarded_For": "192.0.2.7", "Forwarded": "for=192.0.2.8"}],
)
async def test_a_proxys_own_address_is_never_told(headers: dict[str, Any]) -> None:
    for path in ("/checkip", "/checkip?format=html", "/ip"):
        reply = await ask(path, "127.0.0.0/8", **headers)
        assert reply.status == 500
        assert UNKNOWN in reply.body.decode()
        assert b"127." not in reply.body
    assert reply.body.decode() == f'{{"success":false,"error":"{UNKNOWN}"}}'
