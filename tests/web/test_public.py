"""Which path is whose, and what a log has of it."""

import pytest
import structlog

from ddnsd.web.http import Endpoint, HttpRequest
from tests.web.served import served

TOKEN = "a-token-in-a-path-0123456789"


def says(text: bytes) -> Endpoint:
    def endpoint(exchange: HttpRequest) -> None:
        exchange.reply(200, text + exchange.path.encode())

    return endpoint


ROUTES = {
    "/update": {"GET": says(b"update ")},
    "/update/": {"GET": says(b"below ")},
    "/update/own": {"GET": says(b"own ")},
    "/file": {"GET": says(b"file ")},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/update", "update /update"),
        ("/update?a=/b/", "update /update"),
        ("/update/", "below /update/"),
        ("/update/a/b//c", "below /update/a/b//c"),
        ("/update/own", "own /update/own"),
        ("/update/own/", "below /update/own/"),
        ("http://host/update/a", "below /update/a"),
        ("//update", "update /update"),
        ("///update/a//b?c=//d", "below /update/a//b"),
        ("http://host//update", "update /update"),
    ],
)
async def test_a_folder_stands_for_all_below_it(path: str, text: str) -> None:
    async with served(ROUTES) as client:
        reply = await client.get(path)
    assert (reply.status, reply.body.decode()) == (200, text)


@pytest.mark.parametrize(
    "path", ["/", "//", "/file/", "/file/a", "/Update/a", "/%75pdate/a", "/a/update/b", "/x//update/a"]
)
async def test_nothing_else_is_below_it(path: str) -> None:
    async with served(ROUTES) as client:
        assert (await client.get(path)).status == 404


async def test_a_folder_has_methods_of_its_own() -> None:
    async with served(ROUTES) as client:
        reply = await client.send("POST", f"/update/a/{TOKEN}")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")


async def test_a_crash_below_a_folder_is_logged_without_the_path() -> None:
    def crash(_exchange: HttpRequest) -> None:
        raise RuntimeError("a bug")

    with structlog.testing.capture_logs() as logs:
        async with served({"/update/": {"GET": crash}}) as client:
            reply = await client.get(f"/update/blog/{TOKEN}")
    assert reply.status == 500
    (event,) = [event for event in logs if event["event"] == "http.crashed"]
    assert event["route"] == "/update/"
    assert TOKEN not in repr(logs)
