"""What the tests of export and import have in common."""

from typing import Protocol

from ddnsd.service.archive import Archive, ArchiveReader
from ddnsd.service.registry import Registry

CHUNK = 1000  # bytes


class HasRegistry(Protocol):
    """A node, of whatever else it has."""

    @property
    def registry(self) -> Registry: ...


async def exported(node: HasRegistry) -> bytes:
    """Return the node's archive."""
    return b"".join([part async for part in (await node.registry.export()).parts()])


async def read(archive: bytes) -> Archive:
    """Read an archive as it would come over the network."""
    reader = ArchiveReader()
    for start in range(0, len(archive), CHUNK):
        await reader.feed(archive[start : start + CHUNK])
    return reader.finish()


def body(archive: bytes) -> bytes:
    """Return the archive without its header."""
    return archive[archive.index(b"\n---\n") :]
