"""Whatever strangers send to the other APIs: words that clients know, no crash, no secret in the log."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from ddnsd.web.dyndns2 import WORDS
from tests.system.hostile import ADDRESSES, CANARY, NAMES, Grammar, Hostile
from tests.system.http import Reply
from tests.system.installation import SECRET, Installation, example
from tests.system.test_fuzz import SEED, Fuzz, sound

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

Rounds = Callable[[int, int], int]

VALUE = "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
DYNDNS2 = re.compile(rf"({'|'.join({'good', 'nochg', *WORDS.values()})})( \S+)?(\n|\Z)")
DUCKDNS = re.compile(r"KO|OK(\n\S*\n\S*\n(UPDATED|NOCHANGE)|\n\S*\n(UPDATED|NOCHANGE))?")
ADDRESS = re.compile(r"127\.0\.0\.1|192\.0\.2\.1|2001:db8::1")


def basic(password: str) -> str:
    return "Basic " + b64encode(f"alice:{password}".encode()).decode()


_VALUES: tuple[object, ...] = (VALUE, *ADDRESSES, CANARY, [])
GRAMMAR = Grammar(
    paths=("/nic/update",) * 10
    + ("/v3/update", "/nic/checkip", "/checkip", "/api/ddns/ip")
    + ("/update",) * 10
    + tuple(
        f"/update/{name}/{token}{rest}"
        for name in ("blog", "blog.example.com", "%ff", "", CANARY)
        for token in (SECRET, CANARY, "")
        for rest in ("", "/192.0.2.1", "/2001:db8::1", "/%00", "/a/b")
    ),
    credentials=(
        *(basic(SECRET), basic(CANARY), f"Basic {CANARY}", "Basic", f"Bearer {SECRET}", "Basic \xff"),
        *(f"\r\nX-Api-User: alice-router\r\nX-Api-Key: {key}" for key in (SECRET, SECRET, CANARY, "\xff")),
    ),
    documents=[
        {"subdomain": domain, "txt": value, "domain": domain, "token": CANARY}
        for domain in (*NAMES, 7, None, CANARY)
        for value in _VALUES
    ],
    parameters=(
        ("hostname", "myip", "password"),
        ("hostname", "myipv6", "username"),
        ("hostname", "ip6lanprefix", "password"),
        ("hostname", "offline", "password"),
        ("domains", "ip", "token"),
        ("domains", "txt", "token"),
        ("domains", "clear", "token"),
    ),
)


@pytest.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation(tmp_path, fair_use={"enabled": False}) as installation:
        await installation.apply(*example())
        yield installation


async def test_dialects(ddnsd: Installation, rounds: Rounds) -> None:
    fuzz = Fuzz(ddnsd, "public", Hostile(GRAMMAR, SEED), check, batch=16)
    assert {200, 400, 401, 404, 405, 413} <= set(await fuzz.run(rounds(5_000, 100_000)))
    await sound(ddnsd)


def check(reply: Reply, method: str) -> None:
    """Check a complete answer: it says something, in a way that one of the clients understands."""
    assert reply.status in {200, 400, 401, 404, 405, 413}
    if method == "HEAD":
        return
    assert reply.body
    type = reply.headers["content-type"]
    if type.startswith("application/json"):
        assert msgspec.json.encode(reply.json) == reply.body, "compact"
        assert set(reply.json) in ({"error"}, {"txt"}, {"success", "error"}, {"success", "data"})
    elif type.startswith("text/html"):
        assert ADDRESS.search(reply.body.decode())
    else:
        text = reply.body.decode()
        whole = DUCKDNS.fullmatch(text) or ADDRESS.fullmatch(text)
        assert whole or re.fullmatch(f"({DYNDNS2.pattern})+", text), text
