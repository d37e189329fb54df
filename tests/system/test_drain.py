"""`ddnsd drain` on the real process: unready at once, still serving, until it is stopped."""

import asyncio
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ddnsd.web import replies
from tests.system.http import Client, Reply
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import UPDATED
from tests.system.wire import Wire
from tests.waiting import until

ROOT = Path(__file__).parents[2]
BLOG = "blog.example.com"
UNREADY = (503, {"ready": False, "reasons": ["draining"]})


async def drain(ddnsd: Installation, delay: str) -> asyncio.subprocess.Process:
    """Start the command, where a node's container would: beside its data, with all defaults but the port."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ddnsd", "drain", "--delay", delay),
        cwd=ddnsd.folder,
        env={**os.environ, "DDNSD_SERVER": f"http://{ddnsd.addresses['admin']}", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def readiness(ddnsd: Installation) -> tuple[int, dict[str, Any]]:
    client = Client(ddnsd.addresses["health"])
    reply = await client.get("/readyz")
    await client.close()
    return reply.status, reply.json


async def unready(ddnsd: Installation) -> None:
    async def is_so() -> bool:
        return await readiness(ddnsd) == UNREADY

    await until(is_so, 20, "the node is unready")


async def ask(wire: Wire, ip: str) -> Reply | None:
    head = f"GET {UPDATE}?domain={BLOG}&ip={ip} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    await wire.send(head.encode())
    return await wire.receive("GET")


async def said(command: asyncio.subprocess.Process) -> tuple[int | None, str]:
    output, _ = await asyncio.wait_for(command.communicate(), 20)
    return command.returncode, output.decode()


async def waited(command: asyncio.subprocess.Process) -> float:
    """Return the seconds that the command says it has waited: longer on a busy machine."""
    status, output = await said(command)
    told = re.fullmatch(r"Not ready for ([0-9.]+) s now, and until it is stopped\.\n", output)
    assert told, output
    assert status == 0
    return float(told[1])


async def test_it_serves_on_and_ends_each_connection_with_its_next_answer(tmp_path: Path) -> None:
    async with (
        Installation(tmp_path) as ddnsd,
        Wire(ddnsd.addresses["public"]) as kept,
        Wire(ddnsd.addresses["public"]) as silent,
    ):
        await ddnsd.apply(*example())
        before = await ask(kept, "192.0.2.1")
        assert before is not None
        assert "connection" not in before.headers
        begun = time.monotonic()
        command = await drain(ddnsd, "3s")
        await unready(ddnsd)
        async with Wire(ddnsd.addresses["public"]) as new:
            for number, wire in enumerate((kept, silent, new), 2):
                reply = await ask(wire, f"192.0.2.{number}")
                assert reply is not None
                assert (reply.message, reply.headers["connection"]) == (UPDATED, "close")
                assert await wire.receive("GET") is None
        health = await ddnsd.public.get("/healthz")
        assert (health.status, health.message) == (503, replies.DRAINING)
        assert command.returncode is None
        assert await waited(command) >= 3
        assert time.monotonic() - begun >= 3
        assert await readiness(ddnsd) == UNREADY
        assert (await ddnsd.update(BLOG, "192.0.2.9")).message == UPDATED
        assert await waited(await drain(ddnsd, "0")) >= 0
        assert len(ddnsd.events("retirement.begun")) == 1
        assert await ddnsd.terminate() == 0
        await ddnsd.start()
        assert (await readiness(ddnsd))[0] == 200


async def test_a_stop_ends_the_delay(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        command = await drain(ddnsd, "1h")
        await unready(ddnsd)
        assert await ddnsd.terminate() == 0
        assert (await said(command))[0] == 0
        assert not ddnsd.events("drain.unfinished")


async def test_the_leader_leads_on(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        assert (await ddnsd.admin("POST", "drain", {})).json == {"waited": 0.0}
        assert await ddnsd.metric("ddnsd_leader") == 1
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED


@pytest.mark.parametrize("delay", [-1, 3601, "10s", None])
async def test_what_is_no_delay(tmp_path: Path, delay: object) -> None:
    async with Installation(tmp_path) as ddnsd:
        reply = await ddnsd.admin("POST", "drain", {"delay": delay})
        assert (reply.status, "0 to 3600 seconds" in reply.message) == (422, True)
        assert (await readiness(ddnsd))[0] == 200
