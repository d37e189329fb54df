"""`workers`: one node in several processes, on a real etcd and a real nameserver."""

import asyncio
import os
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import Sample

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.system.http import Reply
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import UNCHANGED, UPDATED, running
from tests.system.wire import Wire
from tests.system.workers import Visitors, all_run, is_gone, only, pids, samples, through
from tests.waiting import stays, until

HOSTS = [f"h{number}.example.com" for number in range(16)]


@pytest.fixture
def etcd() -> Iterator[EtcdRig]:
    with EtcdRig(versions()[0]) as rig:
        yield rig


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A short path: Unix sockets are made below."""
    with tempfile.TemporaryDirectory(prefix="w") as folder:
        yield Path(folder)


@pytest.fixture
async def start(
    tmp_path: Path, etcd: EtcdRig, bind_rig: NameserverRig, temporary: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Starts a node with so many workers, and example.com with `HOSTS`."""
    started: list[Installation] = []
    store = {"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url], "lease_ttl": 2}}

    async def start(workers: int = 2) -> Installation:
        ddnsd = Installation(
            tmp_path,
            bind_rig,
            environ={"TMPDIR": str(temporary)},
            workers=workers,
            store=store,
            log={"format": "json", "level": "info"},
        )
        await stack.enter_async_context(ddnsd)
        started.append(ddnsd)
        await ddnsd.apply(*example(HOSTS))
        await all_run(ddnsd, workers)
        return ddnsd

    async with AsyncExitStack() as stack:
        yield start
    for ddnsd in started:
        await until_gone(ddnsd)


async def until_gone(ddnsd: Installation) -> None:
    """Wait until no worker is left."""

    async def gone() -> bool:
        return all(map(is_gone, pids(ddnsd).values()))

    await until(gone, 20, "all workers have left")


async def test_each_worker_answers_and_knows_what_the_other_did(start: Callable[..., Any]) -> None:
    ddnsd = await start()
    async with through(ddnsd, 0) as first, through(ddnsd, 1) as second:
        for number, host in enumerate(HOSTS):
            one, other = (first, second) if number % 2 else (second, first)
            query = {"domain": host, "ip": f"192.0.2.{number}", "token": SECRET}
            assert (await one.get(UPDATE, **query)).message == UPDATED
            assert (await other.get(UPDATE, **query)).message == UNCHANGED
    counts = Counter[tuple[str, str]]()
    for sample in await samples(ddnsd):
        if sample.name == "ddnsd_requests_total" and sample.labels["api"] == "update":
            counts[sample.labels["worker"], sample.labels["result"]] += int(sample.value)
    half = len(HOSTS) // 2
    for worker in ("0", "1"):
        assert (counts[worker, "updated"], counts[worker, "unchanged"]) == (half, half)
    assert {event["worker"] for event in ddnsd.events("update.done")} == {0, 1}


async def test_a_token_revoked_through_one_worker_is_refused_by_the_other(start: Callable[..., Any]) -> None:
    ddnsd = await start()
    token = (ddnsd.data / "admin-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with through(ddnsd, 0, "admin") as admin, through(ddnsd, 1) as other:

        async def ask(secret: str) -> Reply:
            return await other.get(UPDATE, domain=HOSTS[0], ip="192.0.2.1", token=secret)

        for number in range(50):
            name, secret = f"t{number}", f"{SECRET}-{number}"
            await ddnsd.apply(document("Token", name, account="alice", sha256=digest(secret)))
            assert (await ask(secret)).status == 200
            assert (await admin.send("DELETE", f"/api/v1/tokens/{name}", headers)).status == 200
            assert (await ask(secret)).status == 401


async def test_metrics_of_all_workers(start: Callable[..., Any]) -> None:
    ddnsd = await start()
    found = await samples(ddnsd)
    series = {
        worker: {
            (sample.name, *sorted((sample.labels | {"worker": ""}).items()))
            for sample in found
            if sample.labels["worker"] == worker
        }
        for worker in ("0", "1")
    }
    assert series["0"] == series["1"]
    assert len(found) == 2 * len(series["0"])
    before = _unanswered(found, "1")  # a busy machine may have made one wait too long already
    async with asyncio.timeout(10):
        with only(ddnsd, 1):  # the other one is silent
            found = await samples(ddnsd)
    assert {sample.labels["worker"] for sample in found} == {"1"}
    assert _unanswered(found, "1") > before


def _unanswered(found: Iterable[Sample], worker: str) -> float:
    """Return how many siblings did not answer this worker in time."""
    name = "ddnsd_workers_unanswered_total"
    return sum(one.value for one in found if one.name == name and one.labels["worker"] == worker)


async def test_one_worker_is_no_different_from_before(start: Callable[..., Any]) -> None:
    ddnsd = await start(1)
    assert not any("worker" in sample.labels for sample in await samples(ddnsd))
    assert not any("worker" in event for event in ddnsd.events("ready"))


@pytest.mark.parametrize("number", [0, 1])
async def test_a_killed_worker_is_replaced(start: Callable[..., Any], number: int) -> None:
    """One of the two leads; whichever dies, nobody is refused, and only its own requests are lost."""
    ddnsd = await start()
    visitors = Visitors(ddnsd, HOSTS)
    async with running(visitors.run()) as (task,):
        for _ in range(3):
            await visitors.come(2)
            os.kill(pids(ddnsd)[number], signal.SIGKILL)
            await visitors.come(2)
            await all_run(ddnsd)
        await visitors.leave()
        await task
    assert not any(visitor.was_refused for visitor in visitors.all)
    assert max(visitor.lost for visitor in visitors.all) <= 3, "not more than was in flight"
    assert visitors.wrong() == set()
    pauses = [event["starts_again_after"] for event in ddnsd.events("worker.ended")]
    assert pauses[0] == 0.1
    assert set(pauses[1:]) <= {0.2, 0.4, 0.0}
    assert await ddnsd.terminate() == 0


async def test_a_worker_that_leaves_alone_serves_to_the_end(start: Callable[..., Any]) -> None:
    ddnsd = await start()
    pid = pids(ddnsd)[0]
    head = f"POST {UPDATE}?domain={HOSTS[0]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
    async with AsyncExitStack() as stack:
        with only(ddnsd, 0):
            wire = await stack.enter_async_context(Wire(ddnsd.addresses["public"]))
            await wire.send(f"{head}Expect: 100-continue\r\nContent-Length: 12\r\n\r\n".encode())
            await wire.leave()
        visitors = Visitors(ddnsd, HOSTS[1:])
        async with running(visitors.run()) as (task,):
            os.kill(pid, signal.SIGTERM)
            await visitors.come(3)
            await visitors.leave()
            await task
        assert not is_gone(pid)
        await wire.send(b"ip=192.0.2.1")
        reply = await wire.receive("POST")
    assert reply is not None
    assert (reply.message, reply.headers["connection"]) == (UPDATED, "close")
    assert not any(visitor.was_refused or visitor.lost for visitor in visitors.all)

    async def replaced() -> bool:
        return pids(ddnsd)[0] != pid

    await until(replaced, 20, "another worker has its place")
    await all_run(ddnsd)
    (ended,) = ddnsd.events("worker.ended")
    assert (ended["worker"], ended["status"]) == (0, 0)


async def test_a_drain_through_one_worker_is_one_of_all(start: Callable[..., Any]) -> None:
    """Of one that is frozen meanwhile too, and of the one that comes in its place when it is killed."""
    ddnsd = await start()
    headers = {"Authorization": f"Bearer {(ddnsd.data / 'admin-token').read_text().strip()}"}
    async with through(ddnsd, 0, "admin") as admin:
        with only(ddnsd, 0):
            reply = await admin.send("POST", "/api/v1/drain", headers, b'{"delay": 0}')
            assert (reply.status, _retired(ddnsd)) == (200, [0])
        await until(lambda: _have_retired(ddnsd, [0, 1]), 20, "the frozen one retires")
        os.kill(pids(ddnsd)[1], signal.SIGKILL)
        await until(lambda: _have_retired(ddnsd, [0, 1, 1]), 20, "the new one retires")
    await all_run(ddnsd)
    for number in (0, 1):
        async with through(ddnsd, number, "health") as health:
            assert (await health.get("/readyz")).json == {"ready": False, "reasons": ["draining"]}
    assert await ddnsd.terminate() == 0


def _retired(ddnsd: Installation) -> list[int]:
    """Return the number of each worker that has begun to retire."""
    return sorted(event["worker"] for event in ddnsd.events("retirement.begun"))


async def _have_retired(ddnsd: Installation, numbers: list[int]) -> bool:
    return _retired(ddnsd) == numbers


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_end_under_load_loses_no_request(start: Callable[..., Any], workers: int) -> None:
    ddnsd = await start(workers)
    visitors = Visitors(ddnsd, HOSTS)
    async with running(visitors.run()) as (task,):
        await visitors.come(5)
        assert await ddnsd.terminate() == 0
        await task
    assert all(visitor.was_refused for visitor in visitors.all)
    assert sum(visitor.lost for visitor in visitors.all) == 0
    assert visitors.wrong() == set()
    assert len(ddnsd.events("drain.done")) == workers


@pytest.mark.parametrize("all_end", [True, False])
async def test_what_was_sent_before_the_end_is_answered(start: Callable[..., Any], all_end: bool) -> None:
    """It waits in the sockets of a worker that is frozen, and finds the signal when it goes on."""
    ddnsd = await start()
    head = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    requests = [f"GET {UPDATE}?domain={host}&ip=192.0.2.1 {head}".encode() for host in HOSTS]
    async with AsyncExitStack() as stack:
        wires = [Wire(ddnsd.addresses["public"]) for _ in HOSTS]
        with only(ddnsd, 0):
            for wire, request in zip(wires[:8], requests, strict=False):
                await stack.enter_async_context(wire)
                await wire.send(request)
                assert await wire.receive("GET")
        with only(ddnsd, -1):
            for wire in wires[8:]:
                await stack.enter_async_context(wire)
            for wire, request in zip(wires, requests, strict=True):
                await wire.send(request)
            os.kill(ddnsd.pid if all_end else pids(ddnsd)[0], signal.SIGTERM)
        replies = [await wire.receive("GET") for wire in wires]
    assert [reply and reply.message for reply in replies] == [UNCHANGED] * 8 + [UPDATED] * 8
    assert (await ddnsd.ended() if all_end else await ddnsd.terminate()) == 0


async def test_workers_leave_when_their_parent_is_killed(start: Callable[..., Any], temporary: Path) -> None:
    ddnsd = await start()
    visitors = Visitors(ddnsd, HOSTS)
    async with running(visitors.run()) as (task,):
        await visitors.come(2)
        await ddnsd.kill()
        await task
    assert sum(visitor.lost for visitor in visitors.all) == 0
    await until_gone(ddnsd)
    assert len(ddnsd.events("drain.done")) == 2
    host, _, port = ddnsd.addresses["public"].rpartition(":")
    with socket.create_server((host, int(port))):
        pass
    assert list(temporary.iterdir()) == []


async def test_workers_that_cannot_start(tmp_path: Path, etcd: EtcdRig, bind_rig: NameserverRig) -> None:
    folder = tmp_path / ("x" * 100)  # too long for a Unix socket
    folder.mkdir()
    store = {"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url]}}
    ddnsd = Installation(tmp_path, bind_rig, workers=2, store=store, environ={"TMPDIR": str(folder)})
    status, said = await ddnsd.fail()
    assert status == 1
    assert "start.failed" in said
    assert "AF_UNIX path too long" in said
    assert "worker.ended" not in said, "it is not tried again and again"


async def test_the_embedded_store_is_for_one_process(tmp_path: Path) -> None:
    status, said = await Installation(tmp_path, workers=2).fail("check")
    assert status == 1
    assert "workers: 2: write 1, or use etcd" in said
    assert "nameservers.default.kind" in said


async def test_the_parent_rests(start: Callable[..., Any]) -> None:
    ddnsd = await start()
    before = _processor_seconds(ddnsd.pid)
    await stays(lambda: _processor_seconds(ddnsd.pid) - before < 0.2, 1)


def _processor_seconds(pid: int) -> float:
    """Return the processor time of one process, without its children (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
