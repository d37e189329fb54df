import asyncio
import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import CompactedError, ConditionalWrite, StoreError, UnavailableError
from tests.store.contract.actions import DEADLINE, delete, put, take


async def test_store_keeps_everything(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    await put(store, "hosts/a", b"1")
    await put(store, "hosts/a", b"2")
    await put(store, "hosts/b")
    last = await delete(store, "hosts/b")
    before, identity = await store.snapshot(), store.identity
    await store.close()

    store = await open_embedded(tmp_path)
    assert await store.snapshot() == before
    assert await store.revision() == last
    assert store.identity == identity
    await store.close()


async def test_history_begins_with_the_opening(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    last = await put(store, "hosts/a")
    await store.close()

    store = await open_embedded(tmp_path)
    with pytest.raises(CompactedError):
        await take(store.watch("", last), 1)
    watch = store.watch("", last + 1)
    assert [await put(store, "hosts/a")] == [one.revision for one in await take(watch, 1)]
    await store.close()


async def test_each_store_has_its_own_identity(tmp_path: Path) -> None:
    stores = [await open_embedded(tmp_path / name) for name in "ab"]
    assert stores[0].identity != stores[1].identity
    for store in stores:
        await store.close()


async def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    before = os.umask(0)
    try:
        store = await open_embedded(folder)
        await put(store, "hosts/a")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.glob("ddnsd.db*")}
        await store.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes == {"ddnsd.db": 0o600, "ddnsd.db-wal": 0o600, "ddnsd.db-shm": 0o600}


async def test_second_process_is_refused(tmp_path: Path) -> None:
    await (await open_embedded(tmp_path)).close()  # leaves a lock file with our pid
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.committer", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout
    try:
        await asyncio.wait_for(holder.stdout.readline(), DEADLINE)
        with pytest.raises(StoreError, match=rf"{tmp_path} is in use .*\(pid {holder.pid}\): stop"):
            await open_embedded(tmp_path)
    finally:
        holder.kill()
        await holder.communicate()
    store = await open_embedded(tmp_path)
    await store.close()


async def test_folder_is_free_after_closing(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    with pytest.raises(StoreError, match="is in use"):
        await open_embedded(tmp_path)
    await store.close()
    await (await open_embedded(tmp_path)).close()


async def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="file/data"):
        await open_embedded(tmp_path / "file" / "data")


@pytest.mark.parametrize("offset", [0, 4096], ids=["from the start", "behind the first page"])
async def test_damaged_file_is_refused(tmp_path: Path, offset: int) -> None:
    store = await open_embedded(tmp_path)
    await store.commit([ConditionalWrite({}, {f"hosts/{number}": bytes(100) for number in range(100)})])
    await store.close()
    with (tmp_path / "ddnsd.db").open("r+b") as file:
        file.seek(offset)
        file.write(b"damaged " * 4096)
    for _ in range(2):  # the folder is not left locked
        with pytest.raises(StoreError, match=r"ddnsd\.db is damaged.*: move it away"):
            await open_embedded(tmp_path)


async def test_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    file = tmp_path / "ddnsd.db"
    alter(file, "CREATE TABLE theirs (value TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="another program's"):
        await open_embedded(tmp_path)
    assert file.read_bytes() == before


async def test_newer_schema_is_refused(tmp_path: Path) -> None:
    await (await open_embedded(tmp_path)).close()
    alter(tmp_path / "ddnsd.db", "PRAGMA user_version = 2")
    with pytest.raises(StoreError, match="schema version 2, this ddnsd knows only 1"):
        await open_embedded(tmp_path)


def alter(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.close()


async def test_registration_left_behind_is_removed(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    for number in range(200):
        await store.register(f"node {number}", b"")
    await store.close()
    store = await open_embedded(tmp_path)
    assert (await store.snapshot("members/")).items == {}
    await store.close()
