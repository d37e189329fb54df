"""Fair use, of the real program: who is told to wait, and who never is, whatever others do."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest_asyncio

from ddnsd.model.request import Refusal
from ddnsd.model.resources import digest
from ddnsd.web.connections import TARPIT_SECONDS
from ddnsd.web.replies import LIMITED
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.http import Client, Reply
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import NOT_PUBLISHED, UNCHANGED, UPDATED, address
from tests.system.mounted import Mounted, noticed
from tests.system.wire import Wire

BLOG = "blog.example.com"
HOSTS = tuple(f"h{number}.example.com" for number in range(30))
_BURST = {"token_changes_burst": 3, "source_failures_burst": 5, "token_attempts_burst": 10}
FEW = {
    "token_changes": 0.001,
    "source_failures": 0.001,
    "token_attempts": 0.001,
    **_BURST,
}
HERE, ELSEWHERE = "127.0.0.2", "127.0.0.3"
WRONG = "wrong-secret-0123456789"


@pytest_asyncio.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[Mounted]:
    async with Mounted(tmp_path, fair_use=FEW) as ddnsd:
        await ddnsd.apply(*example([BLOG, *HOSTS]))
        yield ddnsd


async def ask(ddnsd: Installation, source: str, path: str = UPDATE, **query: str) -> Reply:
    """Ask from an address of this machine."""
    async with Wire(ddnsd.addresses["public"], source) as wire:
        await wire.send(f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = await wire.receive("GET")
    assert reply is not None
    return reply


async def use_up_failures(ddnsd: Installation) -> None:
    for _ in range(_BURST["source_failures_burst"]):
        reply = await ask(ddnsd, HERE, domain=BLOG, ip="192.0.2.1", token=WRONG)
        assert (reply.status, reply.message) == Refusal.UNKNOWN_TOKEN.value


async def use_up_changes(ddnsd: Installation) -> None:
    for number in range(_BURST["token_changes_burst"]):
        assert (await ddnsd.update(BLOG, address(number))).message == UPDATED


async def test_who_tries_wrong_tokens_has_to_wait_and_nobody_else(ddnsd: Installation) -> None:
    await use_up_failures(ddnsd)
    reply = await ask(ddnsd, HERE, domain=BLOG, ip="192.0.2.1", token=WRONG)
    assert (reply.status, reply.message) == (429, LIMITED)
    assert int(reply.headers["retry-after"]) > 60
    reply = await ask(ddnsd, ELSEWHERE, domain=BLOG, ip="192.0.2.1", token=WRONG)
    assert (reply.status, reply.message) == Refusal.UNKNOWN_TOKEN.value
    reply = await ask(ddnsd, HERE, domain=BLOG, ip="192.0.2.1", token=SECRET)
    assert reply.message == UPDATED
    assert await ddnsd.metric('ddnsd_requests_total{api="update",result="limited"}') == 1


async def test_hundreds_behind_one_address_are_not_punished_for_each_other(ddnsd: Installation) -> None:
    await ddnsd.apply(
        *(
            document("Token", f"t{number}", account="alice", sha256=digest(f"{SECRET}-{number}"))
            for number in range(len(HOSTS))
        )
    )
    await use_up_failures(ddnsd)
    for _ in range(2):
        replies = await asyncio.gather(
            *(
                ask(ddnsd, HERE, domain=host, ip="192.0.2.1", token=f"{SECRET}-{number}")
                for number, host in enumerate(HOSTS)
            )
        )
        assert {reply.status for reply in replies} == {200}


async def test_a_new_token_counts_at_once_also_where_others_failed(ddnsd: Installation) -> None:
    await use_up_failures(ddnsd)
    await ddnsd.apply(document("Token", "new", account="alice", sha256=digest(WRONG)))
    assert (await ask(ddnsd, HERE, domain=BLOG, ip="192.0.2.1", token=WRONG)).message == UPDATED


async def test_changes_are_limited_and_what_changes_nothing_never_is(ddnsd: Installation) -> None:
    await use_up_changes(ddnsd)
    reply = await ddnsd.update(BLOG, "192.0.2.99")
    assert (reply.status, reply.message) == (429, LIMITED)
    last = address(_BURST["token_changes_burst"] - 1)
    assert await ddnsd.query(BLOG, "A") == (last,)
    for _ in range(100):
        assert (await ddnsd.update(BLOG, last)).message == UNCHANGED


async def test_each_api_says_it_in_its_own_way(ddnsd: Installation) -> None:
    await use_up_changes(ddnsd)
    started = time.monotonic()
    reply = await ask(ddnsd, HERE, "/nic/update", hostname=BLOG, myip="192.0.2.99", password=SECRET)
    assert (reply.status, reply.body) == (503, b"911")
    assert int(reply.headers["retry-after"]) > 60
    assert time.monotonic() - started >= TARPIT_SECONDS, "who is told to wait, waits"
    started = time.monotonic()
    reply = await ask(ddnsd, HERE, "/update", domains=BLOG, ip="192.0.2.99", token=SECRET)
    assert (reply.status, reply.body) == (200, b"KO")
    assert time.monotonic() - started >= TARPIT_SECONDS


async def test_attempts_are_limited_whatever_they_come_to(ddnsd: Installation) -> None:
    for _ in range(_BURST["token_attempts_burst"]):
        assert (await ddnsd.update("none.example.com", "192.0.2.1")).status == 404
    assert (await ddnsd.update("none.example.com", "192.0.2.1")).status == 429


async def test_limits_change_while_it_runs(ddnsd: Mounted) -> None:
    await use_up_changes(ddnsd)
    assert (await ddnsd.update(BLOG, "192.0.2.99")).status == 429
    async with noticed(ddnsd):
        ddnsd.config["fair_use"] = FEW | {"token_changes_burst": 4}
        ddnsd.write_config()
    assert (await ddnsd.update(BLOG, "192.0.2.99")).message == UPDATED
    async with noticed(ddnsd):
        ddnsd.config["fair_use"] = {"enabled": False}
        ddnsd.write_config()
    for number in range(20):
        assert (await ddnsd.update(BLOG, address(number))).message == UPDATED


async def test_by_default_both_families_of_many_hosts_change_together(tmp_path: Path) -> None:
    async with Installation(tmp_path, fair_use={}) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        connections = asyncio.Semaphore(32)  # of one token: what else waits at the same time is limited

        async def update(host: str, ip: str) -> Reply:
            async with connections:
                return await ddnsd.update(host, ip)

        replies = await asyncio.gather(
            *(update(host, ip) for host in HOSTS for ip in ("192.0.2.1", "2001:db8::1"))
        )
        assert {reply.message for reply in replies} == {UPDATED}


async def test_who_repeats_what_the_nameserver_did_not_take_is_not_punished(
    tmp_path: Path, bind_rig: NameserverRig
) -> None:
    fair_use = {"token_changes": 0.001, "token_changes_burst": 1, "token_attempts_burst": 1}
    async with Installation(tmp_path, bind_rig, publish={"timeout": 0.5}, fair_use=fair_use) as ddnsd:
        await ddnsd.apply(*example())
        bind_rig.freeze()
        try:
            for _ in range(5):
                assert (await ddnsd.update(BLOG, "192.0.2.1")).message == NOT_PUBLISHED
        finally:
            bind_rig.thaw()
        message = NOT_PUBLISHED
        while message == NOT_PUBLISHED:
            message = (await ddnsd.update(BLOG, "192.0.2.1")).message
        assert message in (UPDATED, UNCHANGED)


async def test_a_dead_nameserver_is_no_outage_of_those_who_use_another(tmp_path: Path) -> None:
    """Its clients wait in so many places and no more, and after a while in none."""
    key = tmp_path / "dead.key"
    key.touch(mode=0o600)
    key.write_text("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ=")
    signed = {"name": "k", "algorithm": "hmac-sha256", "secret_file": str(key)}
    nameservers = {
        "default": {"kind": "embedded", "listen": "127.0.0.1:0"},
        "dead": {"kind": "rfc2136", "address": "127.0.0.1", "port": 1, "key": signed},
    }
    http = {"max_connections": 64, "max_connections_per_source": 64}
    publish = {"timeout": 4}
    async with Installation(
        tmp_path, nameservers=nameservers, http=http, publish=publish, fair_use={}
    ) as ddnsd:
        theirs, secret = [f"h{number}.dead.example" for number in range(64)], "mallorys-secret-0123456789"
        await ddnsd.apply(
            *example([BLOG]),
            document("Zone", "dead.example", nameserver="dead"),
            document("Account", "mallory"),
            document("Token", "mallory", account="mallory", sha256=digest(secret)),
            *(document("Host", host, account="mallory") for host in theirs),
        )
        async with AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(Wire(ddnsd.addresses["public"])) for _ in theirs]
            for wire, host in zip(crowd, theirs, strict=True):
                query = urlencode({"domain": host, "ip": "192.0.2.1", "token": secret})
                await wire.send(f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for number in range(40):
                another = Client(ddnsd.addresses["public"])
                reply = await another.get(UPDATE, domain=BLOG, ip=f"192.0.2.{number + 1}", token=SECRET)
                await another.close()
                assert reply.message == UPDATED
            replies = await asyncio.gather(*(wire.receive("GET") for wire in crowd))
        assert [reply.message for reply in replies if reply].count(NOT_PUBLISHED) == 32
