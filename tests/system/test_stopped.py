"""A leader that is stopped for a while (SIGSTOP, a suspended machine): what its clients get afterwards."""

import asyncio
import json
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from tests.rigs.etcd import versions
from tests.system.cluster import LEASE_TTL, Cluster
from tests.system.installation import UPDATE, Installation, example
from tests.system.load import NOT_PUBLISHED, NOT_STORED, UPDATED
from tests.waiting import until

AT_ONCE = 1.0  # seconds in which every connection that waited is answered or closed
OTHERS = LEASE_TTL + 2.0  # ... every request that still has time
BUSY = 1.0  # seconds that a busy machine may add
DEADLINE, STOP = 3.0, 5.0
SETTINGS = {"publish": {"timeout": DEADLINE}, "http": {"idle_timeout": 2, "head_timeout": 2}}
HOSTS = [f"h{number}.example.com" for number in range(30)]

pytestmark = pytest.mark.faults


class Outcome(NamedTuple):
    """What a client got: a message, "" where the connection was closed; and when."""

    message: str
    at: float


class Connection:
    """One connection, opened before or while the node is stopped."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, node: Installation) -> "Connection":
        host, _, port = node.addresses["public"].rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    def send(self, text: str) -> asyncio.Task[Outcome]:
        self._writer.write(text.encode())
        return asyncio.create_task(self._outcome())

    async def _outcome(self) -> Outcome:
        """Read until the node has answered, or has closed the connection."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            answer = json.loads(await self._reader.readexactly(length))
            message = answer.get("message") or answer.get("error")
        except (asyncio.IncompleteReadError, ConnectionError):
            message = ""
        at = time.monotonic()
        self._writer.close()
        return Outcome(message, at)


def request(node: Installation, host: str) -> str:
    query = urlencode({"domain": host, "ip": "192.0.2.1", "token": node.secret})
    return f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_stopped_leader_answers_everybody_when_it_goes_on(tmp_path: Path) -> None:
    async with Cluster(tmp_path, versions()[0], **SETTINGS) as cluster:
        await cluster.nodes[0].apply(*example(HOSTS))
        leader, other = await cluster.leader(), await cluster.follower()
        kept = [await Connection.open(leader) for _ in range(24)]
        cluster.nameserver.freeze()
        in_flight = [kept.pop().send(request(leader, host)) for host in HOSTS[:10]]
        await until(
            lambda: other.has_committed("192.0.2.1", *HOSTS[:10]), DEADLINE, "the changes are committed"
        )
        leader.freeze()
        cluster.nameserver.thaw()
        halves = [kept.pop().send(text) for text in ("", "", *["GET /api/ddns/ip HTTP"] * 2)]
        others = [kept.pop().send(request(leader, host)) for host in HOSTS[10:20]]
        others += [(await Connection.open(leader)).send(request(leader, host)) for host in HOSTS[20:]]
        waiting = (*in_flight, *halves, *others)
        done, _ = await asyncio.wait(waiting, timeout=STOP, return_when=asyncio.FIRST_COMPLETED)
        assert not done, "time has to pass: the deadlines, and the lease"
        leader.thaw()
        resumed = time.monotonic()
        overdue, closed, answered = [await asyncio.gather(*tasks) for tasks in (in_flight, halves, others)]
        assert all(one.at < resumed + AT_ONCE + BUSY for one in (*overdue, *closed))
        assert {one.message for one in overdue} <= {UPDATED, NOT_PUBLISHED, NOT_STORED}
        assert {one.message for one in closed} == {""}
        assert all(one.at < resumed + OTHERS + BUSY for one in answered)
        assert {one.message for one in answered} == {UPDATED}
        await leader.disconnect()  # closed by now
        assert (await leader.health.get("/readyz")).status == 200
