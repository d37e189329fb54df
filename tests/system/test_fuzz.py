"""Whatever strangers send to the HTTP listeners: JSON, no 5xx, nothing done, no secret in the log."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ddnsd.model.request import Refusal
from ddnsd.web import replies
from tests.rigs.documents import document
from tests.system.hostile import ADDRESSES, CANARY, NAMES, Grammar, Hostile, Input
from tests.system.http import Reply
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.wire import Wire

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

SEED = 20_261_124
CONNECTIONS = 6  # at a time
MOST_MEMORY = 300 << 20  # bytes, resident; some 80 MiB are Python and the libraries

Rounds = Callable[[int, int], int]
Check = Callable[[Reply, str], None]

_TOKENS: tuple[object, ...] = (SECRET, CANARY, [], True)
PUBLIC = Grammar(
    paths=(UPDATE,) * 30
    + ("/healthz", "/", f"/{CANARY}", f"{UPDATE}/", "//", "/api/ddns/%75pdate", "/%00", "/\xff"),
    credentials=(
        f"Bearer {SECRET}",
        f"Bearer {CANARY}",
        f"bearer  {CANARY}",
        f"Basic {CANARY}",
        CANARY,
        "Bearer",
    ),
    documents=[
        {"domain": domain, "ip": ip, "token": token}
        for domain in (*NAMES, 7, None, CANARY)
        for ip in ADDRESSES
        for token in _TOKENS
    ],
)
KINDS = ("zones", "accounts", "hosts", "tokens")
ADMIN_PATHS = (
    *(f"/api/v1/{kind}" for kind in KINDS),
    *(
        f"/api/v1/{kind}/{name}"
        for kind in KINDS
        for name in (*NAMES[:4], "alice", "%ff", "a%00", CANARY, "x" * 300)
    ),
    *(
        f"/api/v1/zones/{zone}/{work}"
        for zone in ("none.example", "%c3%28")
        for work in ("check", "takeover")
    ),
    *("/api/v1/apply",) * 6,
    "/api/v1/status",
    "/api/v1/openapi.json",
    f"/api/v1/{CANARY}",
    UPDATE,
    "/",
)
DOCUMENTS = (
    example(["blog.example.com", "other.example.com"]),
    [document("Zone", "fuzz.example", ttl=-1, nameserver="none")],
    [
        document("Zone", "fuzz.example"),
        document("Host", "a.fuzz.example", account="alice", families=["A", "MX"]),
    ],
    document("Account", "alice", status="banned"),
    document("Token", "t", account="alice", expires="9999-99-99", hosts=["*"]),
    document("Host", "\ud7ff.example.com", account={"a": [1e308, 2**70]}),
    {
        "apiVersion": "ddnsd.dev/v1alpha1",
        "kind": "HostList",
        "items": [document("Host", CANARY, account=CANARY)],
    },
)
WRONG = (
    f"Bearer {CANARY}",
    f"Bearer {SECRET}",
    "Bearer",
    CANARY,
    f"Basic {CANARY}",
    "Bearer \xe9",
    "bearer x y",
)


@pytest.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[Installation]:
    async with Installation(tmp_path) as installation:
        await installation.apply(*example())
        yield installation


async def test_public(ddnsd: Installation, rounds: Rounds) -> None:
    fuzz = Fuzz(ddnsd, "public", Hostile(PUBLIC, SEED), check_public, batch=16)
    statuses = await fuzz.run(rounds(5_000, 100_000))
    assert {200, 400, 401, 404, 405, 413} <= set(statuses)
    await sound(ddnsd)


async def test_admin_without_its_token(ddnsd: Installation, rounds: Rounds) -> None:
    before = await everything(ddnsd)
    hostile = Hostile(Grammar(ADMIN_PATHS, WRONG, DOCUMENTS), SEED)
    fuzz = Fuzz(ddnsd, "admin", hostile, check_stranger, batch=1)  # a stranger is cut off
    statuses = await fuzz.run(rounds(2_000, 50_000))
    assert {400, 401, 405} == set(statuses)
    assert await everything(ddnsd) == before
    await sound(ddnsd)


async def test_admin_with_its_token(ddnsd: Installation, rounds: Rounds) -> None:
    right = f"Bearer {admin_token(ddnsd)}"
    hostile = Hostile(Grammar(ADMIN_PATHS, (right,), DOCUMENTS), SEED)
    fuzz = Fuzz(ddnsd, "admin", hostile, check_admin, batch=3)
    statuses = await fuzz.run(rounds(2_000, 50_000))
    assert {200, 400, 401, 404, 405, 422} <= set(statuses)
    await ddnsd.apply(*example())
    await sound(ddnsd)


def check_public(reply: Reply, method: str) -> None:
    """Check a complete answer: a status and a message that we know, in compact JSON."""
    assert reply.status in {200, 400, 401, 403, 404, 405, 413, 500}
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    if method == "HEAD":
        return
    assert msgspec.json.encode(reply.json) == reply.body, "compact"
    if reply.status != 200:
        assert (reply.status, reply.json["error"]) in PUBLIC_FAILURES


PUBLIC_FAILURES = {(refusal.status, refusal.message) for refusal in Refusal} | {
    (400, replies.BAD_REQUEST),
    (404, replies.NO_SUCH_PATH),
    (405, replies.METHOD_NOT_ALLOWED),
    (413, replies.TOO_LARGE),
}


def check_admin(reply: Reply, method: str) -> None:
    assert reply.status < 500, reply
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    if method != "HEAD":
        assert reply.json.get("error") or reply.status < 400


def check_stranger(reply: Reply, method: str) -> None:
    """Check that nobody but the admin is told more than that the request is none."""
    check_admin(reply, method)
    assert reply.status in {400, 401, 405}


async def sound(ddnsd: Installation) -> None:
    """Check that the process lives, is no larger, has kept its secrets and does its work."""
    assert (await ddnsd.update("blog.example.com", "192.0.2.77")).json["success"]
    assert (await ddnsd.update("blog.example.com", "192.0.2.78")).json["data"]["old_ip"] == "192.0.2.77"
    assert resident(ddnsd.pid) < MOST_MEMORY
    log = ddnsd.log()
    events = [json.loads(line) for line in log.splitlines()]
    assert [
        event for event in events if event["level"] in ("error", "critical") or "exception" in event
    ] == []
    for secret in (SECRET, CANARY, admin_token(ddnsd)):
        assert secret.lower() not in log.lower()


async def everything(ddnsd: Installation) -> list[dict[str, Any]]:
    """Return all resources; hosts without their status."""
    return [item["spec"] for kind in KINDS for item in (await ddnsd.admin("GET", kind)).json["items"]]


def admin_token(ddnsd: Installation) -> str:
    return (ddnsd.data / "admin-token").read_text().strip()


def resident(pid: int) -> int:
    """Return the most memory that the process ever had resident, in bytes."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) * 1024


class Fuzz:
    """Sends hostile inputs on some connections side by side; each that is owed an answer until it has one."""

    def __init__(
        self, ddnsd: Installation, listener: str, hostile: Hostile, check: Check, batch: int
    ) -> None:
        """`batch`: how many requests are sent at once on one connection."""
        self._ddnsd = ddnsd
        self._address = ddnsd.addresses[listener]
        self._hostile = hostile
        self._check = check
        self._batch = batch
        self._left = 0
        self._statuses: Counter[int] = Counter()

    async def run(self, count: int) -> Collection[int]:
        """Send so many; return the statuses of the answers."""
        self._left = count
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._send_all())
        await self._ddnsd.disconnect()  # the connections that it keeps may have been idle for too long
        return self._statuses

    async def _send_all(self) -> None:
        owed: deque[Input] = deque()
        while self._left > 0 or owed:
            while self._left > 0 and len(owed) < self._batch:
                self._left -= 1
                item = self._hostile.next()
                if item.whole:
                    owed.append(item)
                else:
                    await self._throw(item)
            if owed:
                await self._ask(owed)

    async def _ask(self, owed: deque[Input]) -> None:
        """Send what is owed on one connection and take off what is answered, one answer at least."""
        before = len(owed)
        async with Wire(self._address) as wire:
            await wire.send(b"".join(item.octets for item in owed))
            while owed and (reply := await wire.receive(owed[0].method)):
                self._note(owed.popleft(), reply)
        assert len(owed) < before, f"no answer to {owed}"

    async def _throw(self, item: Input) -> None:
        """Send what may be no request at all; every answer that comes whole must be right."""
        async with Wire(self._address) as wire:
            await wire.send(item.octets)
            wire.end()
            while reply := await wire.receive("GET"):
                if "content-type" in reply.headers:
                    self._note(item, reply)
                else:
                    assert (reply.status, reply.body) == (400, b""), reply

    def _note(self, item: Input, reply: Reply) -> None:
        self._statuses[reply.status] += 1
        try:
            self._check(reply, item.method)
        except (AssertionError, ValueError, KeyError) as error:
            raise AssertionError(f"{error}\n{reply}\nto {item}") from error
