"""The archive: what `ddnsd export` writes and `ddnsd import` reads (docs/admin/reference.md).

A stream of YAML documents, consistent at one revision: a header, then the zones, accounts, hosts with
their addresses, and tokens, which have digests only.
"""

from ddnsd.service.archive.export import Export
from ddnsd.service.archive.header import Counts, Header, header_in
from ddnsd.service.archive.item import Address, Item
from ddnsd.service.archive.reader import Archive, ArchiveReader

__all__ = ["Address", "Archive", "ArchiveReader", "Counts", "Export", "Header", "Item", "header_in"]
