"""What a start makes of files that others could change."""

import os
from pathlib import Path

import pytest

from tests.rigs.kubernetes.kubelet.volumes import give_to_group
from tests.system.installation import Installation, example
from tests.system.load import UPDATED

BLOG = "blog.example.com"
GROUP = 10001


@pytest.mark.parametrize("place", ["data", "admin-token"])
async def test_what_others_may_write_is_refused_or_warned_of(tmp_path: Path, place: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    path, mode = (data, 0o777) if place == "data" else (data / "admin-token", 0o602)
    if place == "admin-token":
        path.write_text("a-token-of-somebody-else")
    path.chmod(mode)
    status, said = await Installation(tmp_path).fail()
    assert status == 1
    assert f"others may write {path} (mode {mode:04o}): chmod o-w {path}" in said
    assert "data_check: warn" in said
    assert not (data / "store").exists(), "nothing is put there"
    async with Installation(tmp_path, data_check="warn") as ddnsd:
        (warning,) = ddnsd.events("data.exposed")
        assert str(path) in warning["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, GROUP, -1)
    status, said = await Installation(tmp_path).fail()
    assert (status, f"{data} belongs to user {GROUP}" in said) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to any group")
async def test_a_volume_is_fine_after_kubelet_has_changed_its_modes(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        assert await ddnsd.terminate() == 0
        give_to_group(ddnsd.data, GROUP)
        assert ddnsd.data.stat().st_mode & 0o7777 == 0o2770
        assert (ddnsd.data / "admin-token").stat().st_mode & 0o777 == 0o660
        ddnsd.log_path.write_text("")
        await ddnsd.start()
        assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
        assert ddnsd.events("data.exposed") == ddnsd.events("config.remark") == []
