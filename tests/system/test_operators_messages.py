"""What operators are told: the setting, the reason and the remedy, where they look first."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.installation import Installation
from tests.waiting import until


async def apply(ddnsd: Installation, folder: Path, *documents: dict[str, Any]) -> tuple[str, str]:
    """Run `ddnsd apply`; return what it prints, and what it says."""
    (folder / "documents.json").write_text("\n---\n".join(map(json.dumps, documents)))
    options = (
        "--server",
        f"http://{ddnsd.addresses['admin']}",
        "--admin-token-file",
        f"{ddnsd.data}/admin-token",
    )
    command = (sys.executable, "-m", "ddnsd", "apply", "-f", str(folder / "documents.json"), *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, said = await process.communicate()
    assert process.returncode == 0, said
    return printed.decode(), said.decode()


async def test_a_zone_that_its_nameserver_does_not_have_is_told_of(
    tmp_path: Path, bind_rig: NameserverRig
) -> None:
    async with Installation(tmp_path, bind_rig) as ddnsd:
        zones = [document("Zone", "absent.example"), document("Zone", "example.com")]
        printed, said = await apply(ddnsd, tmp_path, *zones)
        assert printed == "zone/absent.example created\nzone/example.com created\n"
        (line,) = said.splitlines()
        assert line.startswith(
            "Warning: zone/absent.example is not published: default: _ddnsd.absent.example TXT: "
        )
        assert "does the nameserver have the zone absent.example" in line
        assert (await apply(ddnsd, tmp_path, zones[1]))[1] == ""


async def test_a_key_that_the_nameserver_refuses_is_told_of_with_the_remedy(
    tmp_path: Path, bind_rig: NameserverRig
) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    nameserver = {
        "kind": "rfc2136",
        "address": bind_rig.address,
        "port": bind_rig.port,
        "key": {"name": bind_rig.key_name, "algorithm": bind_rig.key_algorithm, "secret_file": str(key)},
    }
    async with Installation(tmp_path, nameservers={"default": nameserver}) as ddnsd:
        _, said = await apply(ddnsd, tmp_path, document("Zone", "example.com"))
        assert "PeerBadSignature" in said
        assert "give both the same key (name, algorithm, secret); let both clocks agree" in said

        async def told() -> bool:
            (zone,) = (await ddnsd.admin("GET", "status")).json["zones"]
            return "give both the same key" in zone["error"]

        await until(told, 10, "status has the remedy, too")


def _a_file(folder: Path) -> str:
    (folder / "data").write_text("")
    return "is not a folder"


def _below_a_file(folder: Path) -> str:
    (folder / "file").write_text("")
    return "Not a directory"


@pytest.mark.parametrize(("data", "make"), [("data", _a_file), ("file/data", _below_a_file)])
async def test_a_data_folder_that_cannot_be_is_told_of_with_its_setting(
    tmp_path: Path, data: str, make: Callable[..., Any]
) -> None:
    reason = make(tmp_path)
    status, said = await Installation(tmp_path, data=data).fail()
    assert status == 1
    assert f"the data folder {tmp_path / data} cannot be " in said
    assert reason in said
    assert "name another folder with `data` in config.yaml, or DDNSD_DATA" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("is_there", [True, False])
async def test_a_read_only_data_folder_is_told_of_with_its_setting(tmp_path: Path, is_there: bool) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    data = disk if is_there else disk / "data"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", str(disk)], check=True)
    try:
        status, said = await Installation(tmp_path, data=str(data)).fail()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert status == 1
    assert f"the data folder {data} cannot be " in said
    assert "read-only" in said.lower()
    assert "name another folder with `data` in config.yaml, or DDNSD_DATA" in said


async def test_an_admin_token_that_cannot_be_used_names_its_setting_and_the_whole_reason(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    token = tmp_path / "file" / "admin-token"
    status, said = await Installation(tmp_path, admin={"token_file": str(token)}).fail()
    assert status == 1
    assert f"the admin token's file {token} cannot be read (Not a directory)" in said
    assert "admin.token_file (DDNSD_ADMIN_TOKEN_FILE)" in said
