"""How a test sees and changes a zone: with dnspython alone, so that no code of ddnsd can be wrong twice."""

from collections.abc import Sequence
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone


class NotServedError(dns.exception.DNSException):
    """The nameserver says that it cannot answer now: it loads the zone, or does not have it."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)
        self.kwargs: dict[str, object] = {}  # of which it would format its text


async def ask(address: str, port: int, name: str, type: str) -> tuple[str, ...]:
    """Return the sorted values that a nameserver serves, () for none, as any client would see them.

    Raises:
        NotServedError: it is asked too early; a resolver would ask another one.
        DNSException, OSError: no usable answer.
    """
    query = dns.message.make_query(name, type, flags=0)
    answer, _ = await dns.asyncquery.udp_with_fallback(query, address, timeout=2, port=port)
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise NotServedError(f"{name} {type}: {dns.rcode.to_text(answer.rcode())}")
    rdatatype = dns.rdatatype.from_text(type)
    found = [rrset for rrset in answer.answer if rrset.rdtype == rdatatype]
    return tuple(sorted(rdata.to_text() for rrset in found for rdata in rrset))


class Record(NamedTuple):
    """One record. `name` without the trailing dot, `ttl` in seconds, `value` in presentation format."""

    name: str
    ttl: int
    type: str
    value: str


class Client:
    """Asks the server at `address` and `port`, and changes its zones with its key."""

    address: str

    @property
    def port(self) -> int:
        """The port, of TCP and UDP."""
        raise NotImplementedError

    zones: Sequence[str]
    key_name = "rig-key"
    key_algorithm = "hmac-sha256"
    key_secret: bytes

    async def query(self, name: str, type: str) -> tuple[str, ...]:
        """Return the sorted values that it serves, () for none, as any client would see them."""
        return await ask(self.address, self.port, name, type)

    async def zone_records(self, zone: str) -> set[Record]:
        """Return the whole zone (AXFR)."""
        contents = dns.zone.Zone(dns.name.from_text(zone), relativize=False)
        query = dns.message.make_query(zone, "AXFR", flags=0)
        query.use_tsig(self._tsig_key)
        await dns.asyncquery.inbound_xfr(
            self.address, contents, query, port=self.port, timeout=5, lifetime=60
        )
        return {
            Record(
                name.to_text(omit_final_dot=True), ttl, dns.rdatatype.to_text(rdata.rdtype), rdata.to_text()
            )
            for name, ttl, rdata in contents.iterate_rdatas()
        }

    async def add_foreign(self, *records: Record) -> None:
        """Add records as somebody else with the key would, leaving all others."""
        for record in records:
            update = self._update(record.name)
            update.add(dns.name.from_text(record.name), record.ttl, record.type, record.value)
            await self._send(update)

    async def remove_foreign(self, name: str, type: str) -> None:
        """Remove an RRset as somebody else with the key would."""
        update = self._update(name)
        update.delete(dns.name.from_text(name), type)
        await self._send(update)

    def _update(self, name: str) -> dns.update.UpdateMessage:
        """Begin an UPDATE of the closest zone above the name."""
        zone = max((zone for zone in self.zones if f".{name}".endswith(f".{zone}")), key=len)
        return dns.update.UpdateMessage(zone, keyring=self._tsig_key)

    async def _send(self, update: dns.update.UpdateMessage) -> None:
        answer = await dns.asyncquery.tcp(update, self.address, timeout=5, port=self.port)
        assert answer.rcode() == dns.rcode.NOERROR, answer.to_text()

    @property
    def _tsig_key(self) -> dns.tsig.Key:
        return dns.tsig.Key(self.key_name, self.key_secret, self.key_algorithm)
