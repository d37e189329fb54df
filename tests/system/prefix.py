"""Hosts that follow their router's prefix, and the call that moves them."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.rigs.client import Record
from tests.rigs.documents import document
from tests.system.http import Client, Reply
from tests.system.installation import UPDATE
from tests.system.load import address

OLD, NEW = "2001:db8:1:100::/56", "2001:db8:1:200::/56"


class Router(NamedTuple):
    """`size` hosts of one account behind a router, each with an IPv4 address of its own."""

    size: int
    zone: str = "example.com"

    @property
    def hosts(self) -> Sequence[str]:
        """Their names."""
        return [f"h{number}.{self.zone}" for number in range(self.size)]

    @property
    def documents(self) -> Sequence[dict[str, Any]]:
        """The Host documents."""
        return [
            document("Host", host, account="alice", ipv6Suffix=_identifier(number))
            for number, host in enumerate(self.hosts)
        ]

    @property
    def ipv4(self) -> Sequence[Record]:
        """The A records that they have, whatever the prefix is."""
        return [Record(host, 60, "A", address(number)) for number, host in enumerate(self.hosts)]

    def ipv6(self, prefix: str) -> Sequence[Record]:
        """The AAAA records that they have below a prefix."""
        network, _, _ = prefix.partition("::")
        return [
            Record(host, 60, "AAAA", network + _identifier(number)) for number, host in enumerate(self.hosts)
        ]

    async def move(self, node: Client, prefix: str, token: str) -> Reply:
        """Send the one call, as the first host's client would."""
        query = urlencode({"domain": self.hosts[0], "ip6lanprefix": prefix})
        return await node.send("GET", f"{UPDATE}?{query}", {"Authorization": f"Bearer {token}"})


def _identifier(number: int) -> str:
    """Return a host's `ipv6Suffix`; none is a zero, so that all are canonical behind any network."""
    return f"::1:{number + 1:x}"
