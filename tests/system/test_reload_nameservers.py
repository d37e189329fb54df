"""Nameservers and their keys, changed under a load of updates."""

import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any

from tests.rigs import BindRig
from tests.rigs.documents import document
from tests.rigs.volume import Volume
from tests.system.installation import example
from tests.system.load import NOT_PUBLISHED, UPDATED, Load, all_served, running
from tests.system.mounted import Mounted, noticed
from tests.waiting import until

HOSTS = [f"h{number}.example.com" for number in range(4)]


def statement(name: str, secret: bytes) -> str:
    """Return a key as tsig-keygen prints it."""
    text = b64encode(secret).decode()
    return f'key "{name}" {{\n\talgorithm hmac-sha256;\n\tsecret "{text}";\n}};\n'


def section(rig: BindRig, key: Path) -> dict[str, Any]:
    return {
        "kind": "rfc2136",
        "address": rig.address,
        "port": rig.port,
        "key": {"secret_file": str(key)},
    }


async def test_a_key_is_rotated_under_load(tmp_path: Path, bind_rig: BindRig) -> None:
    volume = Volume(tmp_path / "key", {"key": statement(bind_rig.key_name, bind_rig.key_secret)})
    nameservers = {"default": section(bind_rig, volume / "key")}
    async with Mounted(tmp_path, nameservers=nameservers) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        load = Load(ddnsd, HOSTS)
        async with running(load.run()) as (clients,):
            for turn in range(2):
                name, secret = f"key-{turn}", secrets.token_bytes(32)
                bind_rig.more_keys = {name: secret}
                await bind_rig.reconfigure()
                async with noticed(ddnsd):
                    volume.write({"key": statement(name, secret)})
                bind_rig.key_name, bind_rig.key_secret, bind_rig.more_keys = name, secret, {}
                await bind_rig.reconfigure()
                before = load.answers[UPDATED]

                async def goes_on(before: int = before) -> bool:
                    return load.answers[UPDATED] > before + 20

                await until(goes_on, 10, "updates with the new key alone")
            load.stop()
            await clients
        assert (set(load.answers), load.lost) == ({UPDATED}, 0)
        await all_served(bind_rig, load.done, 5)
        assert ddnsd.events("publish.trouble") == []
        assert ddnsd.events("fence.claimed")[1:] == []  # the lanes went on
        assert b64encode(secret).decode() not in ddnsd.log()


async def test_a_nameserver_moves_goes_and_comes(tmp_path: Path) -> None:
    async with BindRig() as here, BindRig() as there:
        volume = Volume(
            tmp_path / "keys",
            {"here": statement("rig-key", here.key_secret), "there": statement("rig-key", there.key_secret)},
        )
        at = {"here": section(here, volume / "here"), "there": section(there, volume / "there")}
        async with Mounted(tmp_path, nameservers={"default": at["here"]}) as ddnsd:
            await ddnsd.apply(*example(HOSTS))
            assert (await ddnsd.update(HOSTS[0], "192.0.2.1")).message == UPDATED

            async with noticed(ddnsd):
                ddnsd.config["nameservers"] = {"default": at["there"]}
                ddnsd.write_config()
            assert (await ddnsd.update(HOSTS[1], "192.0.2.2")).message == UPDATED
            assert await there.query(HOSTS[1], "A") == ("192.0.2.2",)

            async def is_whole() -> bool:
                return await there.query(HOSTS[0], "A") == ("192.0.2.1",)

            await until(is_whole, 10, "what the other one had")

            async with noticed(ddnsd):
                ddnsd.config["publish"] = {"timeout": 0.5}
                ddnsd.config["nameservers"] = {"other": at["there"]}
                ddnsd.write_config()
            assert (await ddnsd.update(HOSTS[0], "192.0.2.3")).message == NOT_PUBLISHED
            (unknown,) = ddnsd.events("nameserver.unknown")
            assert unknown["nameserver"] == "default"
            (warning, *_) = (await ddnsd.status())["warnings"]
            assert "has no nameserver 'default', which example.com need" in warning

            await ddnsd.apply(document("Zone", "example.com", nameserver="other"))
            async with noticed(ddnsd):
                ddnsd.config["nameservers"]["default"] = at["here"]
                ddnsd.write_config()

            async def is_published() -> bool:
                return await there.query(HOSTS[0], "A") == ("192.0.2.3",)

            await until(is_published, 10, "what was pending")

            async def has_left() -> bool:
                return await here.query(HOSTS[0], "A") == ()

            await until(has_left, 10, "the zone has left its first place")
