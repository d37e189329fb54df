"""What the commit before wrote is read as it was meant: documents, addresses, states, history, archive."""

import asyncio
import json
import lzma
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.before.data import (
    ANSWERS,
    BLOG,
    EMBEDDED,
    EXPORT,
    LATER,
    SNAPSHOT,
    UNKNOWN_IN,
    answers,
    command,
    installation,
    settled,
    without_header,
)
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation


@pytest.fixture
def embedded(tmp_path: Path) -> Installation:
    """An installation on the data folder of before."""
    with tarfile.open(EMBEDDED) as tar:
        tar.extractall(tmp_path, filter="data")
    return installation(tmp_path)


@pytest.fixture(params=versions(), ids=lambda version: version.name)
def etcd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EtcdRig]:
    """An etcd with the snapshot of before."""
    snapshot = tmp_path / "snapshot"
    snapshot.write_bytes(lzma.decompress(SNAPSHOT.read_bytes()))
    with EtcdRig(request.param) as rig:
        rig.restore(snapshot, "restored")
        yield rig


def on(etcd: EtcdRig, folder: Path) -> Installation:
    return installation(folder, store={"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url]}})


def check(found: dict[str, Any], kind: str) -> None:
    """Compare part by part, so that a difference is small."""
    expected = json.loads(ANSWERS[kind].read_text())
    assert set(found) == set(expected)
    for part, answer in expected.items():
        assert found[part] == answer, part


async def change(ddnsd: Installation) -> None:
    """Write again whatever has an unknown field."""
    for path in (f"hosts/{BLOG}", "zones/example.com", "accounts/alice"):
        document = (await ddnsd.admin("GET", path)).json
        document.pop("status", None)
        document["spec"] |= {"hosts": {"ttl": 90}, "zones": {"ttl": 70}}.get(path.split("/")[0], {})
        document["spec"] |= {"status": "suspended"} if path.startswith("accounts") else {}
        assert (await ddnsd.admin("PUT", path, document)).status == 200
    document["spec"]["status"] = "active"
    assert (await ddnsd.admin("PUT", path, document)).status == 200
    reply = await ddnsd.update(BLOG, "192.0.2.99")
    assert b'"updated":true' in reply.body, reply.body


async def test_an_embedded_folder_is_read_as_it_was(embedded: Installation) -> None:
    async with embedded as ddnsd:
        await settled(ddnsd)
        check(await answers(ddnsd, {}), "embedded")
        await change(ddnsd)
        await ddnsd.terminate()
    with closing(sqlite3.connect(embedded.data / "store" / "ddnsd.db")) as database:
        stored = dict(database.execute("SELECT key, value FROM items").fetchall())
    for key in UNKNOWN_IN:
        assert json.loads(stored[key]).items() >= LATER.items(), f"{key} has lost what a later version wrote"


async def test_an_etcd_snapshot_is_read_as_it_was(etcd: EtcdRig, tmp_path: Path) -> None:
    async with on(etcd, tmp_path) as ddnsd:
        await settled(ddnsd)
        check(await answers(ddnsd, {}), "etcd")
        await change(ddnsd)
    for key in UNKNOWN_IN:
        value = await asyncio.to_thread(etcd.ctl, "get", f"ddnsd/{key}", "--print-value-only")
        assert json.loads(value).items() >= LATER.items(), f"{key} has lost what a later version wrote"


async def test_the_admin_tokens_of_before_still_work(embedded: Installation) -> None:
    before = {name: (embedded.data / name).read_text() for name in ("admin-token", "ci")}
    async with embedded as ddnsd:
        assert {name: (ddnsd.data / name).read_text() for name in before} == before
        assert (await ddnsd.admin("GET", "zones")).status == 200


async def test_an_archive_is_imported_and_comes_out_the_same(tmp_path: Path) -> None:
    async with installation(tmp_path) as ddnsd:
        await command(ddnsd, {}, "import", str(EXPORT))
        found = await command(ddnsd, {}, "export")
    assert without_header(found) == without_header(EXPORT.read_text())
