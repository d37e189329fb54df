"""acme-dns over real HTTP: the value is served when it says so; what is said otherwise."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.http import Reply
from tests.system.installation import SECRET, Installation, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOG, CHALLENGE = "blog.example.com", "_acme-challenge.blog.example.com"
FIRST = "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
SECOND = "-" + FIRST[1:]
KEY = "acme-secret-0123456789"
UNKNOWN = "an-unknown-token-0123456789"
USER = {"X-Api-User": "blog-acme", "X-Api-Key": KEY, "Content-Type": "application/json"}


def documents() -> list[dict[str, Any]]:
    spec = {"account": "alice", "sha256": digest(KEY), "hosts": [BLOG], "scopes": ["txt"]}
    return [
        *example([BLOG, "other.example.com"]),
        document("Token", "blog-acme", **spec),
        document(
            "Token", "addresses", account="alice", sha256=digest("addresses-0123456789"), scopes=["address"]
        ),
        document("Account", "banned", status="banned"),
        document("Token", "banned", account="banned", sha256=digest("banned-0123456789")),
        document("Host", "off.example.com", account="alice", enabled=False),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ddnsd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with Installation(tmp_path_factory.mktemp("acmedns")) as installation:
        await installation.apply(*documents())
        yield installation


async def post(
    ddnsd: Installation, subdomain: object = BLOG, txt: object = FIRST, headers: dict[str, str] | None = None
) -> Reply:
    body = json.dumps({"subdomain": subdomain, "txt": txt}).encode()
    return await ddnsd.public.send("POST", "/update", USER if headers is None else headers, body)


async def test_two_values_are_served_when_it_says_so(ddnsd: Installation) -> None:
    first = await post(ddnsd)
    assert (first.status, first.body) == (200, f'{{"txt":"{FIRST}"}}'.encode())
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    assert await ddnsd.query(CHALLENGE, "TXT") == (f'"{FIRST}"',)
    assert (await post(ddnsd, txt=SECOND)).json == {"txt": SECOND}
    assert await ddnsd.query(CHALLENGE, "TXT") == (f'"{SECOND}"', f'"{FIRST}"')
    assert (await post(ddnsd, txt=SECOND)).json == {"txt": SECOND}


def user(name: str, key: str) -> dict[str, str]:
    return USER | {"X-Api-User": name, "X-Api-Key": key}


ROWS = [
    # status, error, subdomain, txt, headers
    (401, "forbidden", BLOG, FIRST, user("blog-acme", UNKNOWN)),
    (401, "forbidden", BLOG, FIRST, user("alice-router", KEY)),
    (401, "forbidden", BLOG, FIRST, user("", KEY)),
    (401, "forbidden", BLOG, FIRST, user("blog-acme", "")),
    (401, "forbidden", BLOG, FIRST, {"Content-Type": "application/json"}),
    (401, "forbidden", "other.example.com", FIRST, USER),
    (401, "forbidden", "none.example.com", FIRST, USER),
    (401, "forbidden", BLOG, FIRST, user("addresses", "addresses-0123456789")),
    (401, "forbidden", BLOG, FIRST, user("banned", "banned-0123456789")),
    (401, "forbidden", "off.example.com", FIRST, user("alice-router", SECRET)),
    (400, "bad_subdomain", "example.com", FIRST, USER),
    (400, "bad_subdomain", "", FIRST, USER),
    (400, "bad_subdomain", CHALLENGE, FIRST, USER),
    (400, "bad_txt", BLOG, FIRST[1:], USER),
    (400, "bad_txt", BLOG, "", USER),
    (400, "malformed_json_payload", 7, FIRST, USER),
]


@pytest.mark.parametrize(("status", "error", "subdomain", "txt", "headers"), ROWS)
async def test_the_errors(
    ddnsd: Installation, status: int, error: str, subdomain: object, txt: str, headers: dict[str, str]
) -> None:
    reply = await post(ddnsd, subdomain, txt, headers)
    assert (reply.status, reply.body) == (status, f'{{"error":"{error}"}}'.encode())


async def test_a_token_for_all_may_set_it_too_and_one_for_challenges_no_address(ddnsd: Installation) -> None:
    assert (await post(ddnsd, headers=user("alice-router", SECRET))).status == 200
    assert (await ddnsd.update(BLOG, "192.0.2.1", KEY)).status == 404


async def test_there_is_no_registration(ddnsd: Installation) -> None:
    reply = await ddnsd.public.send("POST", "/register", {}, b"{}")
    assert (reply.status, reply.json["success"]) == (404, False)


async def test_no_secret_in_the_log(ddnsd: Installation) -> None:
    await post(ddnsd, UNKNOWN, UNKNOWN, user(UNKNOWN, UNKNOWN))
    await ddnsd.public.get("/healthz")  # what is logged of the last one is there now
    log = ddnsd.log()
    assert {event["api"] for event in ddnsd.events("update.unreadable")} == {"acme_dns"}
    assert len(ddnsd.events("update.refused")) > 5
    for kept in (SECRET, KEY, UNKNOWN):
        assert kept not in log


@pytest.mark.asyncio(loop_scope="function")
async def test_a_nameserver_that_does_not_answer_is_a_500(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with Installation(tmp_path, bind_rig, publish={"timeout": 1}) as ddnsd:
        await ddnsd.apply(*documents())
        assert (await post(ddnsd)).status == 200
        assert await bind_rig.query(CHALLENGE, "TXT") == (f'"{FIRST}"',)
        bind_rig.freeze()
        try:
            reply = await post(ddnsd, txt=SECOND)
        finally:
            bind_rig.thaw()
        assert (reply.status, reply.body) == (500, b'{"error":"dns_error"}')


@pytest.mark.asyncio(loop_scope="function")
async def test_too_often_is_a_429(tmp_path: Path) -> None:
    async with Installation(tmp_path, fair_use={"token_changes": 0.01, "token_changes_burst": 1}) as ddnsd:
        await ddnsd.apply(*documents())
        assert (await post(ddnsd)).status == 200
        reply = await post(ddnsd, txt=SECOND)
        assert (reply.status, reply.json) == (429, {"error": "too_many_requests"})
        assert 1 <= int(reply.headers["retry-after"]) <= 100
