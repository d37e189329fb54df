"""Killed processes, full disks and lost answers."""

import asyncio
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.embedded.sqlite import Database, Disk, Folder, InDoubtError, free_share
from ddnsd.store.interface import (
    ConditionalWrite,
    FailureKind,
    KeyValue,
    Revision,
    Stale,
    UnavailableError,
    Unknown,
)
from tests.store.contract.actions import DEADLINE, commit, put, take, write
from tests.store.full_disk import attempt, fill

ROUNDS = 12


def may_trace() -> bool:
    return shutil.which("strace") is not None and not subprocess.call(["strace", "-o", "/dev/null", "true"])


async def test_killed_process_loses_nothing_it_answered(tmp_path: Path) -> None:
    chance = random.Random(3)
    answered: dict[str, Answer] = {}
    known: dict[str, int] = {}  # each counter as it was answered last, or found after the kill before
    newest = 0
    for _ in range(ROUNDS):
        answers = await commit_until_killed(tmp_path, count=chance.randint(1, 400))
        answered.update((answer.key, answer) for answer in answers)
        known.update((answer.key, answer.value) for answer in answers)
        store = await open_embedded(tmp_path)
        before, (newest, items) = newest, await store.snapshot("counters/")
        await store.close()
        assert newest >= max(before, *(answer.revision for answer in answers))
        for key, answer in answered.items():
            assert items[key].revision >= answer.revision
        found = {key: int(item.value) for key, item in items.items()}
        assert all(0 <= value - known.get(key, 0) <= 1 for key, value in found.items()), "one was in flight"
        known = found


@pytest.mark.skipif(not may_trace(), reason="needs strace(1), and the right to trace, to see the flushes")
async def test_every_commit_is_flushed_before_its_answer(tmp_path: Path) -> None:
    """What a killed process cannot show: the machine may die, too."""
    folder, trace = tmp_path / "data", tmp_path / "trace"
    await commit_until_killed(folder, count=1)
    strace = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(trace)]
    answers = await commit_until_killed(folder, count=100, under=strace)
    flushes = [line for line in trace.read_text().splitlines() if "ddnsd.db-wal>" in line]
    assert len(flushes) > len({answer.revision for answer in answers})
    assert "fsync" in flushes[0]  # ours, of what the killed process had left; SQLite uses fdatasync


class Answer(NamedTuple):
    key: str
    value: int
    revision: int


async def commit_until_killed(folder: Path, count: int, under: Sequence[str] = ()) -> list[Answer]:
    """Run a committer, kill -9 it after some answers, and return all that it had printed."""
    process = await asyncio.create_subprocess_exec(
        *[*under, sys.executable, "-m", "tests.store.committer", str(folder)],
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(DEADLINE):
            seen = [await process.stdout.readline() for _ in range(count)]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        rest, _ = await process.communicate()
    fields = [line.split() for line in b"".join([*seen, rest]).decode().splitlines()]
    return [Answer(key, int(value), int(revision)) for key, value, revision in fields]


@pytest.fixture
def limit_files() -> Iterator[Callable[[bool], None]]:
    """A function that sets (or lifts) a limit of 256 KiB to the size of every file we write (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(on: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18 if on else soft, hard))

    yield limit
    limit(False)


@pytest.mark.logs_errors
async def test_file_at_its_size_limit(tmp_path: Path, limit_files: Callable[[bool], None]) -> None:
    """SQLite cannot say that nothing was written, so the outcome is unknown at first."""
    answers = await fill(tmp_path, lambda: limit_files(True), lambda: limit_files(False))
    assert set(answers) == {"Done", "Unknown", "UnavailableError"}


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare(1) to mount a small disk")
@pytest.mark.logs_errors
async def test_store_that_takes_no_writes_says_so_until_it_does(
    tmp_path: Path, limit_files: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ddnsd.store")
    store = await open_embedded(tmp_path, low=0.0)
    counted: list[FailureKind] = []
    store.on_failure(counted.append)
    assert store.write_failure is None
    assert (await store.health()).problems == ()
    limit_files(True)
    answers = [await attempt(store, f"hosts/{number}") for number in range(60)]
    assert "Done" not in answers[-20:]
    failure = store.write_failure
    assert failure is not None
    assert failure.is_own
    assert "ddnsd.db" in failure.text
    assert f"df -h {tmp_path}" in failure.remedy
    assert (await store.health()).problems == (failure,)
    assert set(counted) == {FailureKind.DISK}
    assert len(counted) >= 20
    limit_files(False)
    assert await attempt(store, "hosts/large") == "Done"
    assert store.write_failure is None
    assert (await store.health()).problems == ()
    said = [record.getMessage() for record in caplog.records]
    assert said[-2:] == ["store.failing", "store.recovered"]
    assert len(said) <= 6, "once for each time, not for each attempt"
    await store.close()


async def test_disk_that_is_nearly_full_is_told_before_it_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    free = free_share(tmp_path)
    assert 0 < free < 1
    store = await open_embedded(tmp_path, low=1.0)
    await put(store, "hosts/a")
    (problem,) = (await store.health()).problems
    assert "of its space left" in problem.text
    assert f"df -h {tmp_path}" in problem.remedy
    assert store.write_failure is None
    await put(store, "hosts/a")
    assert [record.getMessage() for record in caplog.records] == ["store.space_low"], "once"
    await store.close()


def test_full_disk(tmp_path: Path) -> None:
    """ENOSPC: certainly nothing was applied."""
    mount = 'mount -t tmpfs -o size=2m none "$1"'
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*namespace, mount, "sh", tmp_path], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    program = f'{mount} && exec "$2" -m tests.store.full_disk "$1"'
    run = subprocess.run(
        [*namespace, program, "sh", tmp_path, sys.executable], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.splitlines()[-1].split()) == {"Done", "UnavailableError"}


@pytest.mark.logs_errors
async def test_leader_that_resigns_while_the_disk_is_full(
    tmp_path: Path, limit_files: Callable[[bool], None]
) -> None:
    store = await open_embedded(tmp_path)
    failures: set[FailureKind] = set()
    store.on_failure(failures.add)
    first = await store.campaign(b"1")
    waiting = asyncio.create_task(store.campaign(b"2"))
    limit_files(True)
    while await attempt(store, f"filler/{uuid.uuid4()}") != "UnavailableError":
        pass
    assert failures == {FailureKind.DISK}
    await first.resign()
    await asyncio.wait_for(first.lost(), DEADLINE)
    assert not await first.confirm()
    with pytest.raises(UnavailableError):  # nobody leads while the first one's guard still holds
        await asyncio.wait_for(waiting, DEADLINE)

    limit_files(False)
    third = await asyncio.wait_for(store.campaign(b"3"), DEADLINE)
    assert isinstance(await commit(store, ConditionalWrite(first.guard, {"hosts/a": b""})), Stale)
    assert (await store.snapshot("election/")).items.keys() == third.guard.keys()
    await store.close()


async def test_candidates_of_a_dead_process_do_not_lead(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    for group in range(2):
        await write(store, ConditionalWrite({}, {f"election/{group}-{number}": b"" for number in range(80)}))
    dead = await store.snapshot("election/")
    await store.close()

    store = await open_embedded(tmp_path)
    watch = store.watch("election/", dead.revision + 1)
    leadership = await asyncio.wait_for(store.campaign(b"1"), DEADLINE)
    assert (await store.snapshot("election/")).items.keys() == leadership.guard.keys()
    assert leadership.epoch > dead.revision
    gone = [key for revision in await take(watch, 3) for key, item in revision.changes.items() if not item]
    assert sorted(gone) == sorted(dead.items)
    await store.close()


class LossyDatabase(Database):
    """Loses the answer of each commit marked with a key below `lost/`: an I/O error after the write."""

    def append(self, change: Revision) -> None:
        super().append(change)
        if any(key.startswith("lost/") for key in change.changes):
            raise InDoubtError("the answer was lost")


@pytest.fixture
async def lossy_store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    worker, folder = ThreadPoolExecutor(1), Folder(tmp_path)
    database = worker.submit(LossyDatabase, folder.database).result()
    contents = worker.submit(database.load).result()
    store = EmbeddedStore(Disk(worker, folder, database), contents, history=1000)
    yield store
    await store.close()


@pytest.mark.logs_errors
async def test_commit_whose_answer_was_lost_turns_out_applied(lossy_store: EmbeddedStore) -> None:
    watch = lossy_store.watch("", 2)
    lost = ConditionalWrite({}, {"lost/a": b"1"})
    outcomes = await lossy_store.commit([lost, ConditionalWrite({"hosts/a": 7}, {"hosts/a": b""})])
    assert [type(outcome) for outcome in outcomes] == [Unknown, Stale]
    assert await lossy_store.revision() == 1

    outcome = await commit(lossy_store, ConditionalWrite({"lost/a": 0}, {"lost/a": b"2"}))
    assert outcome == Stale(2, {"lost/a": KeyValue(b"1", 2, 2)})
    assert await put(lossy_store, "hosts/b") == 3
    assert [[*one.changes] for one in await take(watch, 2)] == [["lost/a"], ["hosts/b"]]
