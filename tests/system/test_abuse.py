"""Clients that mean harm, against the real program: they keep nobody out, and its memory stays as it was."""

import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from tests.narrow import present
from tests.system.http import Client
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import address
from tests.system.siege import KINDS, NOWHERE, Siege, resident
from tests.system.wire import Wire
from tests.waiting import stays, until

BLOG = "blog.example.com"
THEM = "127.0.0.2"
MEMORY = 32 << 20  # bytes that an attack may take: less than what it sends

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning")


class Cramped(Installation):
    """May open so many files and no more."""

    def __init__(self, folder: Path, files: int | str = 300) -> None:
        super().__init__(folder)
        self.files = files

    def command(self, *arguments: str) -> list[str]:
        return ["prlimit", f"--nofile={self.files}", *super().command(*arguments)]


async def newcomers_are_served(ddnsd: Installation, times: int = 20) -> None:
    """Have clients that were not there before change a host."""
    for number in range(times):
        client = Client(ddnsd.addresses["public"])
        reply = await client.get(UPDATE, domain=BLOG, ip=address(number), token=SECRET)
        await client.close()
        assert reply.status == 200


def cpu(ddnsd: Installation) -> float:
    """Return the seconds that it has run."""
    fields = Path(f"/proc/{ddnsd.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connected(ddnsd: Installation) -> float:
    return await ddnsd.metric("ddnsd_connections")


@pytest.mark.parametrize("kind", KINDS)
async def test_with_every_place_taken_newcomers_are_served(tmp_path: Path, kind: str) -> None:
    http = {
        "max_connections": 100,
        "max_connections_per_source": 1000,
        "head_timeout": 60,
        "body_timeout": 60,
    }
    async with Installation(tmp_path, http=http) as ddnsd:
        await ddnsd.apply(*example())
        before = resident(ddnsd)
        with Siege(ddnsd, THEM) as siege:

            async def displaced() -> bool:
                """Attack once more; say whether 200 have lost their place. Beside a load some leave it."""
                for _ in range(100):
                    siege.attack(KINDS[kind])
                siege.press()
                await newcomers_are_served(ddnsd)
                return await ddnsd.metric('ddnsd_connections_closed_total{reason="displaced"}') >= 200

            await until(displaced, what="200 are displaced")
            assert await connected(ddnsd) <= 100
            assert resident(ddnsd) - before < MEMORY
        assert '"level": "error"' not in ddnsd.log()


async def test_one_source_takes_no_places_but_its_own(tmp_path: Path) -> None:
    async with Installation(tmp_path, http={"max_connections_per_source": 50}) as ddnsd:
        await ddnsd.apply(*example())
        async with Wire(ddnsd.addresses["public"]) as kept:
            with Siege(ddnsd, THEM) as siege:
                for _ in range(300):
                    siege.attack(b"")
                await newcomers_are_served(ddnsd)
                assert await connected(ddnsd) <= 55
                assert siege.standing() == 50
            await kept.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert present(await kept.receive("GET")).status == 200


@pytest.mark.parametrize(
    ("kind", "http"),
    [
        ("half a head", {"head_timeout": 0.5}),
        ("half a body", {"body_timeout": 0.5}),
        ("half a chunk", {"body_timeout": 0.5}),
        ("too large a head", {}),
        ("nothing", {"idle_timeout": 1}),
        ("many requests, no answer read", {"idle_timeout": 1}),
    ],
)
async def test_who_takes_too_long_is_closed(tmp_path: Path, kind: str, http: dict[str, Any]) -> None:
    async with Installation(tmp_path, http=http) as ddnsd:
        with Siege(ddnsd, THEM) as siege:
            for _ in range(10):
                siege.attack(KINDS[kind])

            async def gone() -> bool:
                siege.press()
                return siege.standing() == 0 or await connected(ddnsd) == 0

            await until(gone, 30, "they are closed")


async def test_what_nobody_reads_is_not_written(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        before = resident(ddnsd)
        with Siege(ddnsd, THEM) as siege:
            for _ in range(10):
                siege.attack(NOWHERE * 100_000)
            for _ in range(20):
                siege.press()
                await newcomers_are_served(ddnsd, 2)
            assert resident(ddnsd) - before < MEMORY


async def test_wrong_tokens_by_the_ten_thousand_leave_nothing(tmp_path: Path) -> None:
    async with Installation(tmp_path, fair_use={}) as ddnsd:
        await ddnsd.apply(*example())
        wrong = f"GET {UPDATE}?domain={BLOG}&ip=192.0.2.1&token=wrong-{{}} HTTP/1.1\r\nHost: x\r\n\r\n"
        before = 0
        for lap in range(4):
            for number in range(1000):
                with Siege(ddnsd, THEM) as siege:
                    siege.attack(wrong.format(f"{lap}-{number}").encode())
            await newcomers_are_served(ddnsd, 1)
            before = before or resident(ddnsd)  # what the first thousand take is there for the others
        assert resident(ddnsd) - before < 4 << 20
        assert await connected(ddnsd) <= 1 + 256


async def test_there_are_files_for_everybody_who_is_let_in(tmp_path: Path) -> None:
    ddnsd = Cramped(tmp_path)
    async with ddnsd:
        (lowered,) = ddnsd.events("connections.lowered")
        assert (lowered["wanted"], lowered["open_files"]) == (4096, ddnsd.files)
        await ddnsd.apply(*example())
        with Siege(ddnsd, THEM) as siege, Siege(ddnsd, "127.0.0.3") as other:
            for _ in range(200):
                siege.attack(b"")
                other.attack(KINDS["half a head"])
            await newcomers_are_served(ddnsd)
            assert await connected(ddnsd) <= lowered["room"]
        assert '"level": "error"' not in ddnsd.log()


async def test_without_a_file_left_it_waits_for_one(tmp_path: Path) -> None:
    """Such as when somebody lowers the limit of the process, or the machine has no more files."""
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        limit = resource.prlimit(ddnsd.pid, resource.RLIMIT_NOFILE)
        open_now = len(os.listdir(f"/proc/{ddnsd.pid}/fd"))
        resource.prlimit(ddnsd.pid, resource.RLIMIT_NOFILE, (open_now, limit[1]))
        with Siege(ddnsd, THEM) as siege:
            for _ in range(50):
                siege.attack(b"")

            async def told() -> bool:
                return len(ddnsd.events("accept.failed")) > 1

            await until(told, 10, "it says that it has no more files")
            used = cpu(ddnsd)
            await stays(lambda: cpu(ddnsd) - used < 0.5, 1, "it uses less than half of a processor")
        resource.prlimit(ddnsd.pid, resource.RLIMIT_NOFILE, limit)
        await newcomers_are_served(ddnsd)
        assert "Exception in callback" not in ddnsd.log()


@pytest.mark.parametrize("listener", ["health", "admin"])
async def test_half_open_connections_to_any_listener_stop_nobody(tmp_path: Path, listener: str) -> None:
    """More than there are files: they have 64 places, and the public listener has files of its own."""
    async with Cramped(tmp_path, files=1024) as ddnsd:
        await ddnsd.apply(*example())
        with Siege(ddnsd, THEM, listener) as siege:
            for _ in range(550):
                siege.attack(b"")
                siege.attack(KINDS["half a head"])
            await newcomers_are_served(ddnsd)
            assert siege.standing() <= 64
            started = time.monotonic()
            client = Client(ddnsd.addresses["health"])
            assert (await client.get("/readyz")).status == 200
            await client.close()
            assert time.monotonic() - started < 0.5
            client = Client(ddnsd.addresses["admin"])
            assert (await client.get("/api/v1/status")).status == 401
            await client.close()
            with Siege(ddnsd, THEM) as public:  # none of these takes the others' files
                for _ in range(900):
                    public.attack(b"")
                await newcomers_are_served(ddnsd)
                client = Client(ddnsd.addresses["health"])
                assert (await client.get("/readyz")).status == 200
                await client.close()
        name = f'ddnsd_internal_connections_closed_total{{listener="{listener}",reason="displaced"}}'
        assert await ddnsd.metric(name) >= 1000
        assert ddnsd.events("accept.failed") == []


async def test_files_are_raised_as_far_as_is_allowed(tmp_path: Path) -> None:
    async with Cramped(tmp_path, files="300:20000") as ddnsd:
        assert ddnsd.events("connections.lowered") == []
        limits = Path(f"/proc/{ddnsd.pid}/limits").read_text()
        (line,) = (line for line in limits.splitlines() if line.startswith("Max open files"))
        assert int(line.split()[3]) > 4096
