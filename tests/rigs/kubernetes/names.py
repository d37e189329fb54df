"""The cluster's DNS: Services and the pods of headless ones, as the specification names them.

https://github.com/kubernetes/dns/blob/master/docs/specification.md; A records alone, by UDP.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.rigs.kubernetes.collection import Collection, Key

_DOMAIN = ".svc.cluster.local"
_TTL = 5
Endpoints = Callable[[Key], Iterable[tuple[Mapping[str, Any], Mapping[str, int]]]]


class Names(asyncio.DatagramProtocol):
    """Answers from what Services and EndpointSlices say now."""

    def __init__(self, services: Collection, endpoints: Endpoints) -> None:
        self._services = services
        self._endpoints = endpoints

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        (question,) = query.question
        found = self.find(question.name.to_text(omit_final_dot=True).lower())
        if not found:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", "A", *found))
        self._transport.sendto(answer.to_wire(), addr)

    def find(self, name: str) -> list[str]:
        """Return a name's addresses, [] if there is no such name."""
        if not name.endswith(_DOMAIN):
            return []
        *pod, service, namespace = name.removesuffix(_DOMAIN).split(".")
        key = Key(namespace, service)
        if key not in self._services.objects or len(pod) > 1:
            return []
        address = self._services.objects[key]["spec"]["clusterIP"]
        if address != "None":
            return [] if pod else [address]
        return [
            endpoint["addresses"][0]
            for endpoint, _ in self._endpoints(key)
            if not pod or endpoint.get("hostname") == pod[0]
        ]
