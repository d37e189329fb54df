"""Serials that never fall."""

import asyncio
from pathlib import Path

import pytest

from ddnsd.nameserver.embedded.zone import BLOCK, FILE, Serials, _read_serials
from tests.waiting import turn_loop

NOW = 1_800_000_000
ZONE = "example.com"


def serials(folder: Path, now: int = NOW) -> Serials:
    """Open the file as after a kill: nothing was saved by the one before."""
    path = folder / FILE
    return Serials(path, _read_serials(path), clock=lambda: now)


async def take(serials: Serials, times: int = 1) -> int:
    serial = -1
    for _ in range(times):
        if not serials.ready(ZONE):
            await serials.reserve(ZONE)
        serial = serials.take(ZONE)
    return serial


async def test_a_new_zone_starts_at_the_time(tmp_path: Path) -> None:
    assert await take(serials(tmp_path)) == NOW


async def test_serials_grow_by_one_also_across_blocks(tmp_path: Path) -> None:
    numbers = serials(tmp_path)
    assert await take(numbers, 2 * BLOCK + 5) == NOW + 2 * BLOCK + 4


@pytest.mark.parametrize("taken", [1, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("clock", [0, NOW - 5, NOW, NOW + 5])
async def test_after_a_kill_it_goes_on_above_whatever_the_clock_says(
    tmp_path: Path, taken: int, clock: int
) -> None:
    last = await take(serials(tmp_path), taken)
    assert last < await take(serials(tmp_path, now=clock)) <= last + BLOCK


async def test_a_zone_that_was_long_away_goes_on_at_the_time(tmp_path: Path) -> None:
    await take(serials(tmp_path))
    assert await take(serials(tmp_path, now=NOW + 10 * BLOCK)) == NOW + 10 * BLOCK


async def test_beyond_the_largest_comes_zero(tmp_path: Path) -> None:
    largest = 2**32 - 1
    numbers = serials(tmp_path, now=largest - 1)
    assert [await take(numbers) for _ in range(3)] == [largest - 1, largest, 0]
    assert await take(serials(tmp_path, now=largest)) == BLOCK - 2


async def test_zones_that_wait_share_a_write(tmp_path: Path) -> None:
    numbers = serials(tmp_path)
    zones = [f"{number}.example" for number in range(50)]
    first, second, *others = [asyncio.create_task(numbers.reserve(zone)) for zone in zones]
    await first
    await second
    assert all(map(numbers.ready, zones))
    written = (tmp_path / FILE).stat().st_mtime_ns
    await asyncio.gather(*others)
    assert (tmp_path / FILE).stat().st_mtime_ns == written


async def test_a_write_that_failed_gives_nothing_out(tmp_path: Path) -> None:
    numbers = serials(tmp_path / "dns")
    (tmp_path / "dns").rmdir()
    with pytest.raises(FileNotFoundError):
        await numbers.reserve(ZONE)
    assert not numbers.ready(ZONE)
    (tmp_path / "dns").mkdir()
    await numbers.reserve(ZONE)
    assert numbers.take(ZONE) == NOW


async def test_a_write_nobody_waits_for_does_not_undo_the_next(tmp_path: Path) -> None:
    numbers = serials(tmp_path)
    impatient = asyncio.create_task(numbers.reserve("impatient.example"))
    await turn_loop()
    impatient.cancel()
    await numbers.reserve(ZONE)
    assert _read_serials(tmp_path / FILE)[ZONE] == NOW + BLOCK


@pytest.mark.parametrize("damage", [b"", b"{", b'{"example.com": -1}', b'{"example.com": 4294967296}', b"[]"])
async def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(ValueError, match=rf"{tmp_path / FILE}.*(?s:.)Restore the file, or delete it"):
        await Serials.load(tmp_path)


async def test_a_half_written_file_is_not_looked_at(tmp_path: Path) -> None:
    last = await take(serials(tmp_path))
    (tmp_path / FILE).with_suffix(".new").write_bytes(b'{"exam')
    assert await take(serials(tmp_path)) > last
