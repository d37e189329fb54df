"""The embedded authoritative nameserver: the default of one machine, no other software needed."""

from ddnsd.nameserver.embedded.server import EmbeddedNameserver
from ddnsd.nameserver.embedded.settings import Authority, EmbeddedSettings

__all__ = [
    "Authority",
    "EmbeddedNameserver",
    "EmbeddedSettings",
]
