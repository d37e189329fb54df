"""Nameservers with dynamic update (RFC 2136) over TCP, signed with TSIG (RFC 8945), read by AXFR (RFC 5936).

dnspython does names, rdata and signatures. The records of a message are packed and read here: an UPDATE
of 200 replacements takes dnspython's message classes 12 to 14 ms of the event loop, a third of what BIND
needs to make it durable, and this package 1 ms with the signature and the answer. A record of a transfer
takes 27 µs and 8 µs.
"""

from ddnsd.nameserver.rfc2136.client import Rfc2136Nameserver
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings

__all__ = ["Rfc2136Nameserver", "Rfc2136Settings"]
