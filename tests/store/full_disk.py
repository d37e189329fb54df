"""What a store must do when its disk is full; run as a program, on the file system of the folder given."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite, KeyValue, Store, UnavailableError

VALUE = bytes(20_000)


async def attempt(store: Store, key: str) -> str:
    """Put a large value and return the kind of the answer."""
    try:
        (outcome,) = await store.commit([ConditionalWrite({}, {key: VALUE})])
    except UnavailableError:
        return UnavailableError.__name__
    return type(outcome).__name__


async def fill(folder: Path, limit: Callable[[], None], make_room: Callable[[], None]) -> list[str]:
    """Commit until long after the disk is full, make room, and check that every answer was true.

    Returns the kinds of the answers while there was no room.
    """
    store = await open_embedded(folder)
    watch = store.watch("hosts/", await store.revision() + 1)
    limit()
    try:
        answers = {key: await attempt(store, key) for key in (f"hosts/{number:02}" for number in range(60))}
        before = await store.snapshot("hosts/")
    finally:
        make_room()
    assert await attempt(store, "hosts/last") == "Done"

    revision, items = await store.snapshot("hosts/")
    assert items.items() >= before.items.items()
    for key, answer in answers.items():
        assert answer == "Unknown" or (key in items) == (answer == "Done"), (key, answer)
    watched: dict[str, KeyValue | None] = {}
    while "hosts/last" not in watched:
        watched.update((await anext(watch)).changes)
    assert watched == items
    await store.close()

    store = await open_embedded(folder)
    assert await store.snapshot("hosts/") == (revision, items)
    await store.close()
    return list(answers.values())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    print(*asyncio.run(fill(folder / "data", lambda: None, ballast.unlink)))
