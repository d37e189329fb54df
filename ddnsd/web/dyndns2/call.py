"""What a dyndns2 client asks for."""

from collections.abc import Sequence
from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from ...model.addresses import Family, InvalidAddressError, parse_address
from ...model.request import Api, Request
from ..credentials import token_of
from ..form import Parameters, listed


class Call(NamedTuple):
    """One call: what is asked of all its hosts. What is absent is empty.

    Two different addresses of one family are left as one text, which is the address of nothing.
    """

    hosts: tuple[str, ...]
    token: str
    ip: str
    ipv6: str
    prefix: str
    offline: bool

    def requests(self, source: str) -> tuple[Request, ...]:
        """Return a request for each host, in their order."""
        return tuple(self._request(host, source) for host in self.hosts)

    def _request(self, host: str, source: str) -> Request:
        if self.offline:
            clear = tuple(Family)
            return Request(host, "", self.token, source, clear=clear, api=Api.DYNDNS2)
        return Request(host, self.ip, self.token, source, self.ipv6, self.prefix, api=Api.DYNDNS2)


def read_call(parameters: Parameters, headers: HTTPHeaders) -> Call:
    """Read the parameters that mean something here; all others, such as `wildcard` and `mx`, are ignored.

    A `password` parameter wins over the header, as a `token` does in the update API.
    """
    ip, ipv6 = _by_family((*listed(parameters.get("myip", "")), *listed(parameters.get("myipv6", ""))))
    return Call(
        hosts=listed(parameters.get("hostname", "")),
        token=parameters.get("password") or token_of(headers),
        ip=ip,
        ipv6=ipv6,
        prefix=parameters.get("ip6lanprefix", ""),
        offline=parameters.get("offline", "").lower() == "yes",
    )


def _by_family(texts: Sequence[str]) -> tuple[str, str]:
    """Return what is an IPv6 address, and what else is there."""
    sixes = [text for text in dict.fromkeys(texts) if _is_ipv6(text)]
    others = [text for text in dict.fromkeys(texts) if text not in sixes]
    return ",".join(others), ",".join(sixes)


def _is_ipv6(text: str) -> bool:
    try:
        return parse_address(text).family is Family.AAAA
    except InvalidAddressError:
        return False
