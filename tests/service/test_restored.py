"""A request that waits for its publication while etcd is restored to a state before its change."""

import asyncio

import pytest

from ddnsd.model.request import Refusal, Request, UpdateResult
from ddnsd.model.resources import digest
from ddnsd.store.etcd import EtcdStoreSettings, open_etcd
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, Version, versions
from tests.service.registry_node import account, host, node_on, zone
from tests.waiting import until

SECRET = "secret"


@pytest.mark.logs_errors
@pytest.mark.parametrize("version", versions(), ids=lambda version: version.name)
async def test_waiter_of_the_old_history_is_told_at_once(version: Version) -> None:
    with EtcdRig(version) as rig:
        store = await open_etcd(EtcdStoreSettings(rig.settings))
        async with node_on(store) as node:
            token = document("Token", "router", account="alice", sha256=digest(SECRET))
            await node.registry.apply(
                [zone("example.com"), account("alice"), token, host("blog.example.com")]
            )
            rig.ctl("snapshot", "save", str(rig.folder / "backup"))
            service = node.update_service(timeout=60)
            answered: asyncio.Future[UpdateResult] = asyncio.get_running_loop().create_future()
            service.submit(
                (Request("blog.example.com", "192.0.2.1", SECRET, ""),),
                lambda answer, _: answered.set_result(answer),
            )
            await until(lambda: bool(node.cache.state.addresses))
            await asyncio.to_thread(rig.restore, rig.folder / "backup", "another")
            assert await asyncio.wait_for(answered, 10) is Refusal.STORE_FAILED
        await store.close()
