"""Export and import over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tornado.tcpclient import TCPClient

from ddnsd.model.records import Resource
from ddnsd.model.resources import HostSpec
from ddnsd.store import tables
from ddnsd.store.interface import ConditionalWrite
from tests.service.archives import body, exported
from tests.service.registry_node import host, token
from tests.service.test_archive import GOLDEN
from tests.waiting import until
from tests.web.admin_server import ADMIN_TOKEN, AdminServer, admin_server
from tests.web.test_admin import BASE

YAML = {"Content_Type": "application/yaml"}
EMPTY = {"zones": 0, "accounts": 0, "hosts": 0, "tokens": 0}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AdminServer]:
    async with admin_server(tmp_path) as server:
        yield server


async def test_what_is_exported_is_imported_elsewhere(server: AdminServer, tmp_path: Path) -> None:
    raws = [*BASE, host("中国.example.com"), token("router", "1")]
    await server.ask("POST", "/api/v1/apply", raws)
    await server.node.commit_address("xn--fiqs8s.example.com", "192.0.2.1")
    response = await server.ask("GET", "/api/v1/export")
    assert response.headers["Content-Type"] == "application/yaml; charset=utf-8"
    async with admin_server(tmp_path / "other") as other:
        answer = await other.ask("POST", "/api/v1/import", response.body, **YAML)
        one_each = dict.fromkeys(EMPTY, 1)
        assert json.loads(answer.body) == {
            "created": one_each,
            "unchanged": EMPTY,
            "addresses": 1,
            "kept": 0,
            "unusable": 0,
            "unreachable": 0,
        }
        assert body(await exported(other.node)) == body(response.body)


async def test_wrong_documents_are_422_and_existing_ones_409(server: AdminServer) -> None:
    answer = await server.ask("POST", "/api/v1/import", GOLDEN.replace(b"192.0.2.4", b"x"), **YAML)
    (problem,) = json.loads(answer.body)["problems"]
    assert (answer.code, problem["document"], problem["field"]) == (422, 4, "status.A.previous")
    await server.ask("POST", "/api/v1/apply", [*BASE, host("blog.example.com")])
    answer = await server.ask("POST", "/api/v1/import", GOLDEN, **YAML)
    failure = json.loads(answer.body)
    assert (answer.code, failure["hosts"], len(failure["problems"])) == (409, 1, 2)
    assert failure["error"].startswith("the installation is not empty")


async def test_import_that_ends_early_says_how_far_it_came(server: AdminServer) -> None:
    zones = (
        f"---\napiVersion: ddnsd.dev/v1alpha1\nkind: Zone\nmetadata: {{name: z{n}.example}}\n"
        for n in range(300)
    )
    text = GOLDEN.removesuffix(b"...\n") + "".join(zones).encode() + b"...\n"
    importing = asyncio.create_task(server.ask("POST", "/api/v1/import", text, **YAML))
    await server.node.until(lambda: bool(server.node.cache.state.zones))
    await server.node.commits.aclose()  # as in a node that is going down
    answer = await importing
    failure = json.loads(answer.body)
    assert (answer.code, "import the same export again" in failure["error"]) == (503, True)
    assert 0 < failure["imported"]["created"]["zones"] == len(server.node.cache.state.zones) < 301


async def test_client_that_goes_away_is_no_failure(server: AdminServer) -> None:
    value = tables.encode(Resource(HostSpec("alice")))
    names = [
        f"hosts/h{number}.{'x' * 60}.example.com" for number in range(40_000)
    ]  # more than any socket holds
    parts = [names[start : start + 100] for start in range(0, len(names), 100)]
    await server.node.store.commit([ConditionalWrite({}, dict.fromkeys(part, value)) for part in parts])
    stream = await TCPClient().connect("127.0.0.1", server.port)
    request = f"GET /api/v1/export HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
    await stream.write(request.encode())
    await stream.read_until(b"kind")
    with capture_logs() as logs:
        stream.close()
        await until(lambda: bool(logs))
    assert [(log["event"], log["log_level"]) for log in logs] == [("admin.request", "info")]
