"""`ddnsd serve --role …`: the controller as people run it."""

from pathlib import Path
from typing import Any

import pytest

from tests.kube.world import RULES, World
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.kubernetes import ProjectedFolder
from tests.system.installation import Installation


def settings(world: World) -> dict[str, Any]:
    account = world.rig.service_account(world.release)
    world.rig.allow(account, *RULES)
    credentials = ProjectedFolder(world.folder / "serviceaccount")
    world.rig.mount(credentials, account.token, world.release)
    return {"kube": {"server": world.rig.url, "credentials": str(credentials.path), "source": world.source}}


async def test_one_process_is_node_and_controller(world: World, tmp_path: Path) -> None:
    world.set_up()
    async with Installation(tmp_path, role="all", **settings(world)) as ddnsd:
        await world.until_condition("token", "router")
        reply = await ddnsd.update(world.host(), "192.0.2.7", world.secret())
        assert reply.status == 200
        assert await ddnsd.query(world.host(), "A") == ("192.0.2.7",)
        await world.until_condition("host", world.host(), type="Published")
        assert await ddnsd.metric("ddnsd_kube_controller") == 1
        assert await ddnsd.terminate() == 0


async def test_the_controller_is_a_process_of_its_own(world: World, tmp_path: Path) -> None:
    world.set_up()
    with EtcdRig(versions()[-1]) as etcd:
        store = {"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url], "lease_ttl": 2}}
        for name in ("controller", "node"):
            (tmp_path / name).mkdir()
        controller = Installation(tmp_path / "controller", role="controller", store=store, **settings(world))
        async with Installation(tmp_path / "node", store=store) as node, controller:
            assert set(controller.addresses) == {"health"}
            await world.until_condition("token", "router")
            secret = world.secret()
            assert (await node.update(world.host(), "192.0.2.7", secret)).status == 200
            await world.until_condition("host", world.host(), type="Published")
            await controller.kill()
            assert (await node.update(world.host(), "192.0.2.8", secret)).status == 200
            world.apply(world.document("Host", world.host(), account="alice", enabled=False))
            await controller.start()
            await world.until_condition("host", world.host())
            assert (await node.update(world.host(), "192.0.2.9", secret)).status == 403


@pytest.mark.parametrize(
    ("role", "kube", "message"),
    [
        ("controller", {}, "--role all"),
        ("all", {}, "KUBERNETES_SERVICE_HOST is not set"),
    ],
)
async def test_what_is_missing_is_said(tmp_path: Path, role: str, kube: dict[str, Any], message: str) -> None:
    ddnsd = Installation(tmp_path, role=role, environ={"KUBERNETES_SERVICE_HOST": ""}, **kube)
    status, said = await ddnsd.fail("serve", "--role", role, "--config")
    assert status == 1
    assert message in said
