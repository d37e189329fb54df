"""The embedded authoritative nameserver: the default of one machine, no other software needed."""

from .listeners import ListenError
from .rdata import InvalidRecordError
from .serial import SerialFileError
from .server import EmbeddedNameserver
from .settings import Authority, EmbeddedSettings

__all__ = [
    "Authority",
    "EmbeddedNameserver",
    "EmbeddedSettings",
    "InvalidRecordError",
    "ListenError",
    "SerialFileError",
]
