"""What lets a node in to etcd is changed while it works."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.narrow import present
from tests.rigs import NameserverRig
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.volume import Volume
from tests.system.installation import Installation, example
from tests.system.load import NOT_STORED, UPDATED, Load, running
from tests.system.mounted import Mounted, noticed
from tests.system.workers import all_run, pids
from tests.waiting import until

HOSTS = [f"h{number}.example.com" for number in range(4)]


@pytest.fixture
def guarded() -> Iterator[EtcdRig]:
    """An etcd that asks for users: root, and `one` and `two`, who may do the same."""
    with EtcdRig(versions()[0]) as rig:
        rig.ctl("role", "add", "ddnsd")
        rig.ctl("role", "grant-permission", "ddnsd", "--prefix=true", "readwrite", "ddnsd/")
        for user in ("one", "two"):
            rig.ctl("user", "add", f"{user}:password-of-{user}")
            rig.ctl("user", "grant-role", user, "ddnsd")
        rig.enable_authentication("root's")
        yield rig


def section(rig: EtcdRig, **more: Any) -> dict[str, Any]:
    return {"kind": "etcd", "etcd": {"endpoints": [rig.members[0].url], "lease_ttl": 5, **more}}


async def test_user_and_password_are_changed_under_load(tmp_path: Path, guarded: EtcdRig) -> None:
    volume = Volume(tmp_path / "secret", {"password": "password-of-one"})
    access = {"user": "one", "password_file": str(volume / "password")}
    async with Mounted(tmp_path, store=section(guarded, **access)) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        load = Load(ddnsd, HOSTS)
        async with running(load.run()) as (clients,):
            async with noticed(ddnsd):  # a wrong one does no harm while etcd knows the token
                volume.write({"password": "password-of-two"})
            async with noticed(ddnsd):
                ddnsd.config["store"] = section(guarded, **access | {"user": "two"})
                ddnsd.write_config()
            guarded.ctl("user", "delete", "one")
            before = load.answers[UPDATED]

            async def goes_on() -> bool:
                return load.answers[UPDATED] > before + 50

            await until(goes_on, 10, "updates of the other user")
            async with noticed(ddnsd):
                volume.write({"password": "another-password"})
            guarded.change_password("two", "another-password")
            before = load.answers[UPDATED]
            await until(goes_on, 10, "updates with the other password")
            load.stop()
            await clients
        assert (set(load.answers), load.lost) == ({UPDATED}, 0)
        assert ddnsd.events("leader.resigned") == []
        assert "another-password" not in ddnsd.log()


async def test_a_node_that_waits_for_etcd_takes_the_right_password_over(
    tmp_path: Path, guarded: EtcdRig
) -> None:
    volume = Volume(tmp_path / "secret", {"password": "password-of-nobody"})
    access = {"user": "one", "password_file": str(volume / "password")}
    ddnsd = Mounted(tmp_path, store=section(guarded, **access))

    async def waits() -> bool:
        return ddnsd.log_path.exists() and bool(ddnsd.events("start.waiting_for_store"))

    async def correct() -> None:
        await until(waits, 10, "the node waits")
        volume.write({"password": "password-of-one"})

    async with running(correct()), ddnsd:
        assert (await ddnsd.health.get("/readyz")).status == 200


async def test_certificates_are_replaced_under_load(tmp_path: Path) -> None:
    with EtcdRig(versions()[0], tls=True) as rig:
        certificates = present(rig.certificates)
        names = ("ca.pem", "client.pem", "client.key")

        def files() -> dict[str, bytes]:
            return dict(zip(names, certificates.client, strict=True))

        volume = Volume(tmp_path / "secret", files())
        ca, certificate, key = (str(volume / name) for name in names)
        tls = {"tls": {"ca": ca, "certificate": certificate, "key": key}}
        async with Mounted(tmp_path, store=section(rig, **tls)) as ddnsd:
            await ddnsd.apply(*example(HOSTS))
            load = Load(ddnsd, HOSTS)
            async with running(load.run()) as (clients,):
                certificates.renew("client")
                async with noticed(ddnsd):
                    volume.write(files())
                before = load.answers[UPDATED]

                async def goes_on() -> bool:
                    return load.answers[UPDATED] > before + 50

                await until(goes_on, 10, "updates over new connections")
                load.stop()
                await clients
            assert (set(load.answers), load.lost) == ({UPDATED}, 0)
            assert ddnsd.events("leader.resigned") == []


async def test_another_timeout_of_the_store(tmp_path: Path, etcd_member: EtcdRig) -> None:
    async with Mounted(tmp_path, store=section(etcd_member)) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        async with noticed(ddnsd):
            ddnsd.config["store"] = {**section(etcd_member), "timeout": 0.3}
            ddnsd.write_config()
        with etcd_member.members[0].frozen():
            async with asyncio.timeout(2):  # it was 5
                assert (await ddnsd.update(HOSTS[0], "192.0.2.1")).message == NOT_STORED


async def test_each_worker_takes_it_over(
    tmp_path: Path, etcd_member: EtcdRig, bind_rig: NameserverRig
) -> None:
    async with Installation(
        tmp_path, bind_rig, workers=2, store=section(etcd_member), log={"format": "json", "level": "info"}
    ) as ddnsd:
        await all_run(ddnsd)
        workers = pids(ddnsd)
        async with noticed(ddnsd, times=2):
            ddnsd.config["publish"] = {"batch": 100}
            ddnsd.write_config()
            ddnsd.hang_up()
        for event in ("config.look", "config.applied"):
            assert {each["worker"] for each in ddnsd.events(event)} == {0, 1}
        assert pids(ddnsd) == workers


@pytest.fixture
def etcd_member() -> Iterator[EtcdRig]:
    with EtcdRig(versions()[0]) as rig:
        yield rig
