"""SOA serials that never fall, whatever happens to the process (RFC 1982 arithmetic)."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Self

import msgspec

from ddnsd import files

BLOCK = 10_000  # serials made durable at once: one write of the file for so many changes of a zone
FILE = "serials.json"
_MODULUS = 2**32

Serial = Annotated[int, msgspec.Meta(ge=0, lt=_MODULUS)]


class Serials:
    """Hands out each zone's serials in order, from blocks that are durable before they are used.

    The file holds, for each zone, the first serial that has certainly not been served. A process that
    dies wastes the rest of its blocks, and nothing else. A zone that was never here, or that has been
    away, starts at the Unix time if that is ahead, so that it likely stays above what another server
    gave it meanwhile.
    """

    def __init__(self, path: Path, unused: Mapping[str, int], clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._unused = dict(unused)  # what the file says
        self._next: dict[str, int] = {}
        self._clock = clock
        self._wanted: set[str] = set()
        self._lock = asyncio.Lock()
        # One thread: a write that its caller no longer waits for still ends before the next one.
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serials")

    @classmethod
    async def load(cls, folder: Path) -> Self:
        """Make the folder if it is missing and read the file in it.

        Raises:
            ValueError: it cannot be read, or it is damaged; the message names the remedy.
        """
        path = folder / FILE
        return cls(path, await asyncio.to_thread(_read, path))

    def ready(self, zone: str) -> bool:
        """Say whether `take` has a serial for the zone."""
        return zone in self._next and self._next[zone] != self._unused[zone]

    def take(self, zone: str) -> int:
        """Return the zone's next serial; only while `ready`."""
        serial = self._next[zone]
        self._next[zone] = (serial + 1) % _MODULUS
        return serial

    async def reserve(self, zone: str) -> None:
        """Make the zone ready. Zones that ask while the file is being written share the next write.

        Raises:
            OSError: the file cannot be written; nothing has changed.
        """
        self._wanted.add(zone)
        async with self._lock:
            if self.ready(zone):
                return
            zones, self._wanted = self._wanted | {zone}, set()
            starts = {each: self._start(each) for each in zones if not self.ready(each)}
            ends = {each: (start + BLOCK) % _MODULUS for each, start in starts.items()}
            await self._write(self._unused | ends)
            self._next |= starts

    def close(self) -> None:
        """Release the thread; idempotent."""
        self._writer.shutdown(wait=False)

    def _start(self, zone: str) -> int:
        """Return where the zone goes on: after its last block, or at the time if it has none now."""
        now = int(self._clock()) % _MODULUS
        unused = self._unused.get(zone, now)
        return now if zone not in self._next and _is_ahead(now, unused) else unused

    async def _write(self, unused: dict[str, int]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, files.write, self._path, [msgspec.json.encode(unused)])
        self._unused = unused


def _is_ahead(serial: int, other: int) -> bool:
    """Say whether the serial is greater than the other (RFC 1982 §3.2)."""
    return 0 < (serial - other) % _MODULUS < _MODULUS // 2


def _read(path: Path) -> dict[str, int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Serial])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise ValueError(
            f"the SOA serials in {path} cannot be read: {error}. Restore the file, or delete it: "
            "the zones then go on at the Unix time, which a secondary takes for older if theirs was ahead."
        ) from error
