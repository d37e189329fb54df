import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from structlog.testing import capture_logs

from ddnsd.model.records import HistoryEntry, Work
from ddnsd.model.request import Api
from ddnsd.model.resources import Kind
from ddnsd.service.limits import RefusedAttempt
from ddnsd.store import tables
from ddnsd.store.interface import ConditionalWrite
from ddnsd.web.admin import base
from ddnsd.web.admin.base import MAX_BODY
from ddnsd.web.admin.handlers import ROUTES
from tests.rigs.documents import document
from tests.service.registry_node import account, host, token, zone
from tests.web.admin_server import ADMIN_TOKEN, TOKENS, AdminServer, admin_server

BASE = [zone("example.com"), account("alice")]
NEW_TOKEN = document("Token", "new", account="alice")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[AdminServer]:
    async with admin_server(tmp_path) as server:
        yield server


@pytest.fixture
async def filled(server: AdminServer) -> AdminServer:
    raws = [*BASE, host("blog.example.com"), token("router", "1")]
    assert (await server.ask("POST", "/api/v1/apply", raws)).code == 200
    return server


def body(response: Any) -> Any:
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(response.body)


# Everything is JSON, and only for the admin


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic dGhlOmFkbWlu", ADMIN_TOKEN])
@pytest.mark.parametrize("path", ["/api/v1/zones", "/api/v1/openapi.json", "/nothing", "/"])
async def test_nobody_but_the_admin_is_told_anything(server: AdminServer, header: str, path: str) -> None:
    response = await server.ask("GET", path, Authorization=header)
    assert response.code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "admin token" in body(response)["error"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "code"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/api/v1/zones/example.com/nothing", None, 404),
        ("PATCH", "/api/v1/zones/example.com", "{}", 405),
        ("FOO", "/api/v1/zones", None, 405),
        ("PUT", "/api/v1/zones/example.com", "{", 400),
        ("PUT", "/api/v1/zones/example.com", b"\xff", 400),
        ("PUT", "/api/v1/zones/example.com", '"\\ud800"', 400),
        ("PUT", "/api/v1/zones/example.com", "[" * 50_000, 400),
        ("PUT", "/api/v1/zones/example.com", "", 400),
        ("PUT", "/api/v1/zones/example.com", "[]", 422),
        ("PUT", "/api/v1/zones/%ff", "{}", 400),
        ("GET", "/api/v1/zones/..%2F", None, 404),
        ("GET", "/api/v1/zones?limit=0", None, 400),
        ("GET", "/api/v1/zones?limit=%D9%A3", None, 400),
        ("GET", "/api/v1/zones?limit=1001", None, 400),
        ("DELETE", "/api/v1/zones/example.com?cascade=yes", None, 400),
        ("DELETE", "/api/v1/zones/example.com", None, 404),
        ("GET", "/api/v1/history?of=nobody", None, 404),
        ("GET", "/api/v1/history?limit=0", None, 400),
        ("GET", "/api/v1/history?refused=1", None, 400),
        ("POST", "/api/v1/zones/example.com/check?timeout=x", "", 400),
        ("POST", "/api/v1/zones/example.com/check", "", 404),
        ("POST", "/api/v1/zones/_/check", "", 404),
    ],
)
async def test_every_failure_is_json(
    server: AdminServer, method: str, path: str, sent: bytes | str | None, code: int
) -> None:
    response = await server.ask(method, path, sent)
    assert (response.code, bool(body(response)["error"])) == (code, True)


async def test_a_405_says_what_is_allowed(server: AdminServer) -> None:
    response = await server.ask("PATCH", "/api/v1/zones/example.com", "{}")
    assert response.headers["Allow"] == "GET, DELETE, PUT"


async def test_an_oversized_body_is_answered_and_no_more(server: AdminServer) -> None:
    for size in (MAX_BODY + 1, 3 * MAX_BODY):
        response = await server.ask("POST", "/api/v1/apply", b" " * size)
        assert response.code == 413
        assert "send it in parts" in body(response)["error"]
    assert (await server.ask("GET", "/api/v1/zones")).code == 200


async def test_a_body_above_the_listeners_own_limit_is_taken(server: AdminServer) -> None:
    raws = [*BASE, *(host(f"h{number}.example.com") for number in range(700))]
    assert len(msgspec.json.encode(raws)) > 65536
    assert (await server.ask("POST", "/api/v1/apply", raws)).code == 200


async def test_a_store_that_is_gone_is_a_503(server: AdminServer) -> None:
    await server.node.store.close()
    response = await server.ask("GET", "/api/v1/zones")
    assert (response.code, "store" in body(response)["error"]) == (503, True)


# Resources


async def test_a_resource_is_put_shown_and_deleted(server: AdminServer) -> None:
    created = await server.ask("PUT", "/api/v1/zones/example.com", zone("example.com"))
    assert created.code == 201
    shown = await server.ask("GET", "/api/v1/zones/Example.COM.")
    assert body(shown) == zone(
        "example.com", nameserver="default", ttl=60, enabled=True, adopt=False, nested=False, fence="hidden"
    )
    assert shown.headers["ETag"] == created.headers["ETag"]
    assert (await server.ask("PUT", "/api/v1/zones/example.com", zone("example.com", ttl=30))).code == 200
    gone = await server.ask("DELETE", "/api/v1/zones/example.com")
    assert body(gone) == {"deleted": "Zone example.com", "hosts": 0, "tokens": 0}
    assert (await server.ask("GET", "/api/v1/zones/example.com")).code == 404


async def test_a_host_is_shown_with_its_status(filled: AdminServer) -> None:
    await filled.node.commit_address("blog.example.com", "192.0.2.7")
    shown = body(await filled.ask("GET", "/api/v1/hosts/blog.example.com"))
    record = shown["status"]["A"]
    assert datetime.fromisoformat(record.pop("changed")).tzinfo is UTC
    assert record == {"ip": "192.0.2.7", "previous": "", "published": None, "error": ""}
    assert (await filled.ask("PUT", "/api/v1/hosts/blog.example.com", shown)).code == 200


async def test_if_match_guards_put_and_delete(filled: AdminServer) -> None:
    path = "/api/v1/accounts/alice"
    etag = (await filled.ask("GET", path)).headers["ETag"]
    assert (await filled.ask("PUT", path, account("alice", status="banned"), If_Match=etag)).code == 200
    stale = await filled.ask("PUT", path, account("alice"), If_Match=etag)
    assert (stale.code, "it is at revision" in body(stale)["error"]) == (412, True)
    assert (await filled.ask("DELETE", path, If_Match=etag)).code == 412
    assert (await filled.ask("PUT", path, account("alice"), If_Match="*")).code == 200
    assert (await filled.ask("PUT", path, account("alice"), If_Match="W/1")).code == 400
    assert (await filled.ask("PUT", "/api/v1/accounts/bob", account("bob"), If_Match="*")).code == 412


async def test_a_get_is_never_304(filled: AdminServer) -> None:
    etag = (await filled.ask("GET", "/api/v1/hosts/blog.example.com")).headers["ETag"]
    again = await filled.ask("GET", "/api/v1/hosts/blog.example.com", If_None_Match=etag)
    assert again.code == 200


async def test_the_url_and_the_document_name_the_same(filled: AdminServer) -> None:
    for path in ("/api/v1/accounts/bob", "/api/v1/zones/alice"):
        response = await filled.ask("PUT", path, account("alice"))
        assert (response.code, "is not what the URL names" in body(response)["error"]) == (422, True)


async def test_a_wrong_document_is_refused_with_its_problems(filled: AdminServer) -> None:
    response = await filled.ask("PUT", "/api/v1/hosts/a.example.com", host("a.example.com", "bob", ttl=0))
    assert response.code == 422
    assert body(response)["problems"] == [
        {"field": "spec.ttl", "message": "0: write a whole number of seconds from 1 to 2147483647"}
    ]


async def test_pages_follow_one_another(server: AdminServer) -> None:
    await server.ask("POST", "/api/v1/apply", [account(name) for name in "edcba"])
    pages: list[list[str]] = []
    cursor = ""
    while not pages or cursor:
        page = body(await server.ask("GET", f"/api/v1/accounts?limit=2&continue={cursor}"))
        pages.append([item["metadata"]["name"] for item in page["items"]])
        cursor = page["metadata"]["continue"]
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_deletion_is_refused_with_the_count_of_hosts(filled: AdminServer) -> None:
    response = await filled.ask("DELETE", "/api/v1/zones/example.com")
    assert (response.code, body(response)["hosts"]) == (409, 1)
    response = await filled.ask("DELETE", "/api/v1/accounts/alice?cascade=true")
    assert body(response) == {"deleted": "Account alice", "hosts": 1, "tokens": 1}


# Tokens


async def test_a_token_is_made_and_its_secret_shown_once(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/tokens", NEW_TOKEN)
    assert response.code == 201
    made = body(response)
    secret = made.pop("secret")
    assert len(secret) == 43
    again = await filled.ask("GET", "/api/v1/tokens/new")
    assert body(again) == made
    assert secret not in again.body.decode()
    assert (await filled.ask("POST", "/api/v1/tokens", NEW_TOKEN)).code == 409


async def test_a_token_that_is_over_is_applied_but_not_made(filled: AdminServer) -> None:
    over = {"expires": "2020-01-01T00:00:00Z"}
    response = await filled.ask("POST", "/api/v1/tokens", document("Token", "new", account="alice", **over))
    (problem,) = body(response)["problems"]
    assert (response.code, problem["field"]) == (422, "spec.expires")
    assert (await filled.ask("POST", "/api/v1/apply", token("old", "2", **over))).code == 200


async def test_an_imported_token_shows_no_secret(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/tokens", token("new", "2"))
    assert (response.code, "secret" in body(response)) == (201, False)


# Apply


async def test_apply_takes_json_and_yaml(server: AdminServer) -> None:
    response = await server.ask("POST", "/api/v1/apply", {"kind": "List", "items": BASE})
    assert [result["result"] for result in body(response)["results"]] == ["created", "created"]
    stream = "---\n".join(json.dumps(raw) + "\n" for raw in BASE)
    response = await server.ask("POST", "/api/v1/apply", stream, Content_Type="application/yaml")
    assert body(response) == {
        "atomic": True,
        "results": [
            {"document": 1, "kind": "Zone", "name": "example.com", "result": "unchanged"},
            {"document": 2, "kind": "Account", "name": "alice", "result": "unchanged"},
        ],
        "withdrawn": [],
    }
    response = await server.ask("POST", "/api/v1/apply", "a: [", Content_Type="application/yaml")
    assert (response.code, "line 2" in body(response)["error"]) == (400, True)


async def test_apply_tells_the_problems_of_all_documents(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/apply", [account("X"), host("a.example.com", ttl=0)])
    assert response.code == 422
    problems = body(response)["problems"]
    assert [(problem["document"], problem["resource"], problem["field"]) for problem in problems] == [
        (1, "Account X", "metadata.name"),
        (2, "Host a.example.com", "spec.ttl"),
    ]


async def test_apply_refuses_a_token_without_digest(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/apply", [document("Token", "t", account="alice")])
    assert (response.code, "ddnsd token create" in body(response)["error"]) == (422, True)


async def test_apply_refuses_what_stands_in_the_way_with_the_count(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/apply", [zone("blog.example.com"), account("bob")])
    assert (response.code, body(response)["hosts"]) == (409, 1)
    assert (await filled.ask("GET", "/api/v1/accounts/bob")).code == 404


# Work of the leader, status, OpenAPI, logs


async def test_work_is_done_by_the_leader(filled: AdminServer) -> None:
    asked = asyncio.create_task(filled.ask("POST", "/api/v1/zones/example.com/check", ""))
    cache = filled.node.cache
    while not cache.state.requests:
        await cache.current()
    (entry,) = cache.state.requests.values()
    assert entry.value.work is Work.CHECK
    done = msgspec.structs.replace(entry.value, finished=datetime.now(UTC), findings=("a differs",))
    await filled.node.commits.commit(ConditionalWrite({}, {entry.key: tables.encode(done)}))
    assert body(await asked) == {"zone": "example.com", "work": "check", "findings": ["a differs"]}


async def test_work_that_nobody_does_is_a_504(filled: AdminServer) -> None:
    response = await filled.ask("POST", "/api/v1/zones/example.com/repair?timeout=1", "")
    assert (response.code, "no leader" in body(response)["error"]) == (504, True)


async def test_the_status_is_what_the_node_says(server: AdminServer) -> None:
    assert body(await server.ask("GET", "/api/v1/status")) == {"leader": {"name": "one"}, "zones": []}


async def test_the_openapi_document_is_whole(server: AdminServer) -> None:
    described = body(await server.ask("GET", "/api/v1/openapi.json"))
    assert set(described["paths"]) == {route.path for route in ROUTES}
    schemas = described["components"]["schemas"]
    references = set(_references(described))
    assert references == {f"#/components/schemas/{name}" for name in schemas} & references
    assert schemas["HostSpec"]["properties"]["families"]["minItems"] == 1
    assert "sha256" not in schemas["NewTokenSpec"]["required"]
    for path in described["paths"].values():
        for name, method in path.items():
            assert name == "parameters" or method["summary"]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_the_history_is_listed_page_by_page(filled: AdminServer) -> None:
    changes = [
        HistoryEntry(
            datetime(2026, 1, day, tzinfo=UTC), "A", "", f"192.0.2.{day}", Api.UPDATE, "router", "::1"
        )
        for day in range(1, 6)
    ]
    await filled.node.note_changes("blog.example.com", *changes)
    found: list[dict[str, Any]] = []
    cursor = ""
    while not found or cursor:
        query = urlencode({"of": "alice", "limit": 2, "continue": cursor})
        page = body(await filled.ask("GET", f"/api/v1/history?{query}"))
        found += page["items"]
        cursor = page["metadata"]["continue"]
    assert [item["new"] for item in found] == [f"192.0.2.{day}" for day in (5, 4, 3, 2, 1)]
    assert found[0] == {
        "at": "2026-01-05T00:00:00Z",
        "host": "blog.example.com",
        "type": "A",
        "old": "",
        "new": "192.0.2.5",
        "api": "update",
        "token": "router",
        "source": "::1",
    }
    assert body(await filled.ask("GET", "/api/v1/history"))["items"] == found


async def test_the_audit_is_listed_page_by_page(filled: AdminServer) -> None:
    await filled.ask("DELETE", "/api/v1/hosts/blog.example.com")
    found: list[dict[str, Any]] = []
    cursor = ""
    while not found or cursor:
        page = body(await filled.ask("GET", f"/api/v1/audit?{urlencode({'limit': 1, 'continue': cursor})}"))
        found += page["items"]
        cursor = page["metadata"]["continue"]
    assert [(item["by"], item["address"], item["way"]) for item in found[:1]] == [
        ("admin", "127.0.0.1", "delete")
    ]
    assert found[0]["changes"] == [{"title": "Host blog.example.com", "what": "deleted"}]
    assert sum(item["created"] for item in found) == sum(item["deleted"] for item in found) + 3


async def test_the_history_of_a_host_has_the_changes_of_its_document(filled: AdminServer) -> None:
    await filled.node.commit_address("blog.example.com", "192.0.2.7")
    await filled.ask("DELETE", "/api/v1/hosts/blog.example.com")
    items = body(await filled.ask("GET", "/api/v1/history?of=Blog.Example.com"))["items"]
    assert {item["type"] for item in items} == {"Host"}
    assert items[0]["change"] == "deleted; its address was withdrawn"
    assert [item["by"] for item in items] == ["admin"] * len(items)
    assert body(await filled.ask("GET", "/api/v1/history?of=alice"))["items"] == []


async def test_refused_attempts_are_listed_apart(filled: AdminServer) -> None:
    for name in ("blog.example.com", ""):
        at = datetime(2026, 1, 1, 12, len(name), tzinfo=UTC)
        filled.refused.note(RefusedAttempt(at, Api.DYNDNS2, name, "unknown_token", "198.51.100.1", ""))
    listed = body(await filled.ask("GET", "/api/v1/history?refused=true"))
    assert [item["name"] for item in listed["items"]] == ["blog.example.com", ""]
    listed = body(await filled.ask("GET", "/api/v1/history?refused=true&of=alice"))
    assert listed["metadata"] == {"continue": ""}
    assert listed["items"] == [
        {
            "at": "2026-01-01T12:16:00Z",
            "api": "dyndns2",
            "name": "blog.example.com",
            "result": "unknown_token",
            "source": "198.51.100.1",
            "token": "",
            "left_out": "",
            "count": 1,
        }
    ]


async def test_what_is_shown_is_as_described(filled: AdminServer) -> None:
    """Every kind's answer has the shape that OpenAPI tells."""
    await filled.node.commit_address("blog.example.com", "192.0.2.7")
    for kind in Kind:
        response = await filled.ask("GET", f"/api/v1/{kind.plural}")
        listed: Any = msgspec.json.decode(response.body, type=base.LISTS[kind])
        assert len(listed.items) == 1


async def test_no_secret_is_logged(
    filled: AdminServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logs:
        response = await filled.ask("POST", "/api/v1/tokens?token=in-the-url", NEW_TOKEN)
    paths = [(log["path"], log["status"]) for log in logs if log["event"] == "admin.request"]
    assert paths == [("/api/v1/tokens", 201)]
    written = f"{logs} {caplog.text} {capsys.readouterr()}"
    for hidden in (body(response)["secret"], "in-the-url", ADMIN_TOKEN):
        assert hidden not in written


async def test_requests_are_counted(filled: AdminServer) -> None:
    await filled.ask("GET", "/nothing")
    for result in ("done", "refused"):
        assert f'ddnsd_requests_total{{api="admin",result="{result}"}} 1.0' in filled.metrics.text().decode()


# Who may what


SCOPES = [  # what is asked, and which tokens may
    ("GET", "/api/v1/hosts", None, "admin monitor dns-team ci"),
    ("GET", "/api/v1/export", None, "admin monitor dns-team ci"),
    ("GET", "/api/v1/audit", None, "admin monitor dns-team ci"),
    ("PUT", "/api/v1/zones/example.com", zone("example.com"), "admin dns-team"),
    ("DELETE", "/api/v1/zones/nothing.example", None, "admin dns-team"),
    ("POST", "/api/v1/zones/example.com/check?timeout=1", None, "admin dns-team"),
    ("PUT", "/api/v1/hosts/blog.example.com", host("blog.example.com"), "admin ci"),
    ("PUT", "/api/v1/accounts/alice", account("alice"), "admin ci"),
    ("POST", "/api/v1/tokens", NEW_TOKEN, "admin ci"),
    ("DELETE", "/api/v1/tokens/nothing", None, "admin ci"),
    ("POST", "/api/v1/apply", [zone("example.com")], "admin dns-team"),
    ("POST", "/api/v1/apply", [account("alice"), zone("example.com")], "admin"),
    ("POST", "/api/v1/apply", [account("alice")], "admin ci"),
    ("POST", "/api/v1/apply", [{"kind": ["Zone"]}], "admin dns-team ci"),
    ("POST", "/api/v1/import", "nothing", "admin"),
    ("POST", "/api/v1/sources/prod/release", None, "admin"),
    ("POST", "/api/v1/drain", {"delay": 0}, "admin"),
]


@pytest.mark.parametrize(("method", "path", "sent", "may"), SCOPES)
async def test_a_token_may_what_its_scopes_say(
    filled: AdminServer, method: str, path: str, sent: dict[str, Any] | list[Any] | str | None, may: str
) -> None:
    told = {}
    for name, (secret, _) in TOKENS.items():
        response = await filled.ask(method, path, sent, Authorization=f"Bearer {secret}")
        told[name] = response.code != 403
        if response.code == 403:
            assert f"the admin token {name} (scopes: " in body(response)["error"]
    assert {name for name, allowed in told.items() if allowed} == set(may.split())


async def test_the_audit_and_the_log_name_the_token(filled: AdminServer) -> None:
    with capture_logs() as logs:
        secret, _ = TOKENS["ci"]
        await filled.ask("DELETE", "/api/v1/hosts/blog.example.com", Authorization=f"Bearer {secret}")
    assert [log["by"] for log in logs] == ["ci", "ci"]
    newest, *_ = body(await filled.ask("GET", "/api/v1/audit"))["items"]
    assert (newest["by"], newest["way"]) == ("ci", "delete")
