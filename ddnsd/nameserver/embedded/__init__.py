"""The embedded authoritative nameserver: the default of one machine, no other software needed."""

from ddnsd.nameserver.embedded.serial import SerialFileError
from ddnsd.nameserver.embedded.server import DnsListenError, EmbeddedNameserver
from ddnsd.nameserver.embedded.settings import Authority, EmbeddedSettings
from ddnsd.nameserver.embedded.zone import InvalidRecordError

__all__ = [
    "Authority",
    "DnsListenError",
    "EmbeddedNameserver",
    "EmbeddedSettings",
    "InvalidRecordError",
    "SerialFileError",
]
