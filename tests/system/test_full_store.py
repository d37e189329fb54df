"""A store that can be read and takes no writes: everybody is told, and it heals without a client."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation, example
from tests.system.load import NOT_STORED
from tests.waiting import until

BLOG = "blog.example.com"
PATIENCE = 30  # seconds; nobody waits for it


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, where the data folder of an installation in `tmp_path` is."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_full_disk_of_a_single_node(small_disk: Path, tmp_path: Path) -> None:
    ballast = small_disk / "ballast"
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        await ddnsd.update(BLOG, "192.0.2.1")
        assert await told(ddnsd) == (200, True, "", "")
        fill(ballast, leave=200_000)
        await until(lambda: warns(ddnsd, "of its space left"), PATIENCE, "it warns before it fails")
        fill(ballast)

        async def fails() -> bool:
            return (await ddnsd.update(BLOG, "192.0.2.2")).message == NOT_STORED

        await until(fails, PATIENCE, "a change fails")
        status, ready, reasons, warnings = await told(ddnsd)
        assert (status, ready) == (503, True)
        assert "the store takes no changes: " in reasons
        for words in ("full", f"df -h {small_disk}"):
            assert words in reasons
            assert words in warnings
        failures = await ddnsd.metric('ddnsd_store_failures_total{kind="disk"}')
        await until(lambda: grows(ddnsd, failures), PATIENCE, "it is tried by itself")
        assert len(ddnsd.events("store.failing")) == 1
        assert len(ddnsd.events("member.not_registered")) <= 1
        ballast.unlink()
        await until(lambda: is_well(ddnsd), PATIENCE, "it heals without a client")
        assert len(ddnsd.events("store.recovered")) == 1
        assert (await ddnsd.update(BLOG, "192.0.2.2")).status == 200


async def test_full_etcd_is_no_reason_to_go_elsewhere(tmp_path: Path) -> None:
    with EtcdRig(versions()[-1], options=("--quota-backend-bytes", "400000")) as etcd:
        (member,) = etcd.members
        store = {"kind": "etcd", "etcd": {"endpoints": [member.url]}}
        async with Installation(tmp_path, store=store) as ddnsd:
            await ddnsd.apply(*example())
            await ddnsd.update(BLOG, "192.0.2.1")
            ctl = etcd.ctl_of(member)
            while ctl.run("put", "filler", "x" * 50_000).returncode == 0:
                pass
            assert (await ddnsd.update(BLOG, "192.0.2.2")).message == NOT_STORED
            assert (await ddnsd.update(BLOG, "192.0.2.1")).status == 200, "unchanged is right"
            status, ready, reasons, warnings = await told(ddnsd)
            assert (status, ready) == (200, True)
            assert "the store takes no changes: " in reasons
            assert "defrag" in reasons
            assert "defrag" in warnings
            revision = json.loads(etcd.ctl("get", "filler", "-w", "json"))["header"]["revision"]
            etcd.ctl("compact", str(revision))
            etcd.ctl("defrag")
            etcd.ctl("alarm", "disarm")

            async def takes_writes() -> bool:
                return "the store takes no changes" not in (await told(ddnsd))[2]

            await until(takes_writes, PATIENCE, "it heals without a client")
            assert len(ddnsd.events("store.failing")) == 1


def fill(ballast: Path, leave: int = 0) -> None:
    """Write a file until its file system is full, but for so many bytes."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with ballast.open("rb+") as file:
        file.truncate(max(0, ballast.stat().st_size - leave))


async def told(ddnsd: Installation) -> tuple[int, bool, str, str]:
    """Return the public /healthz, whether it is ready, for which reasons, and the warnings."""
    shown = (await ddnsd.health.get("/readyz")).json
    status = await ddnsd.admin("GET", "status")
    return (
        (await ddnsd.public.get("/healthz")).status,
        shown["ready"],
        "; ".join(shown["reasons"]),
        "; ".join(warning for warning in status.json["warnings"] if "no node leads" not in warning),
    )


async def warns(ddnsd: Installation, words: str) -> bool:
    return words in (await told(ddnsd))[3]


async def is_well(ddnsd: Installation) -> bool:
    return await told(ddnsd) == (200, True, "", "")


async def grows(ddnsd: Installation, before: float) -> bool:
    return await ddnsd.metric('ddnsd_store_failures_total{kind="disk"}') > before
