"""Nameservers with dynamic update (RFC 2136) over TCP, signed with TSIG (RFC 8945), read by AXFR (RFC 5936).

dnspython does names, keys and signatures. `nameserver.wire` packs and reads the records of a message: an
UPDATE of 200 replacements takes dnspython's message classes 12 to 14 ms of the event loop, a third of what
BIND needs to make it durable, and this package 1 ms with the signature and the answer. A record of a transfer
takes 33 µs and 2.2 µs (docs/decisions/0043-one-wire-module.md).
"""

from ddnsd.nameserver.rfc2136.client import Rfc2136Nameserver
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings

__all__ = ["Rfc2136Nameserver", "Rfc2136Settings"]
