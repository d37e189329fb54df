"""The store of a single node: the interface in-process, durable in an SQLite file.

The truth is a map in memory, loaded at start; every commit is in the file before it is in the map, so
reads never wait for the disk and never see what a crash could take back. The disk work runs on a
thread of its own.
"""

from ddnsd.store.embedded.store import EmbeddedStore, open_embedded

__all__ = ["EmbeddedStore", "open_embedded"]
