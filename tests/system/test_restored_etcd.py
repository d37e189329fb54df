"""An operator restores an etcd snapshot below a running node: nothing goes backwards by itself."""

import asyncio
from pathlib import Path

import pytest

from tests.rigs.base import NameserverRig
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation, example
from tests.system.load import NOT_PUBLISHED, NOT_STORED, UPDATED
from tests.waiting import until

ZONE, BLOG, OTHER = "example.com", "blog.example.com", "other.example.com"


def _saved(etcd: EtcdRig, path: Path) -> Path:
    etcd.ctl("snapshot", "save", str(path))
    return path


@pytest.mark.logs_errors
@pytest.mark.parametrize("token", ["rig", "another"], ids=["same-cluster", "other-cluster"])
async def test_restored_store_waits_for_the_operator(
    tmp_path: Path, bind_rig: NameserverRig, token: str
) -> None:
    with EtcdRig(versions()[0]) as etcd:
        store = {"kind": "etcd", "etcd": {"endpoints": [member.url for member in etcd.members]}}
        quick = {"timeout": 2, "probe_interval": 0.2}
        async with Installation(tmp_path, bind_rig, store=store, publish=quick) as ddnsd:
            await ddnsd.apply(*example([BLOG, OTHER]))
            assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
            snapshot = await asyncio.to_thread(_saved, etcd, tmp_path / "snapshot")
            for number in range(2, 20):
                assert (await ddnsd.update(BLOG, f"192.0.2.{number}")).message == UPDATED
            bind_rig.freeze()
            waiter = asyncio.create_task(ddnsd.update(OTHER, "192.0.2.77"))
            await until(lambda: ddnsd.has_committed("192.0.2.77", OTHER), what="it waits for the nameserver")
            await asyncio.to_thread(etcd.restore, snapshot, token)
            bind_rig.thaw()
            assert (await waiter).message in (NOT_STORED, NOT_PUBLISHED), (
                "what it was told is not there any more"
            )

            async def paused() -> bool:
                zones = (await ddnsd.admin("GET", "status")).json["zones"]
                return bool(zones[0]["fenceHeldBy"]) and not zones[0]["verified"]

            await until(paused, 10, "publishing pauses: the old history may be alive somewhere")
            reply = await ddnsd.update(BLOG, "192.0.2.1")  # what the restored store has
            assert reply.message == NOT_PUBLISHED, reply.body
            assert (await ddnsd.update(BLOG, "192.0.2.100")).message == NOT_PUBLISHED
            assert await bind_rig.query(BLOG, "A") == ("192.0.2.19",)

            assert (await ddnsd.admin("POST", f"zones/{ZONE}/takeover")).status == 200

            async def restored() -> bool:
                return await bind_rig.query(BLOG, "A") == ("192.0.2.100",)

            await until(restored, 5, "the store wins")
            assert (await ddnsd.update(BLOG, "192.0.2.101")).message == UPDATED
