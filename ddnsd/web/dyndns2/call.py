"""What a dyndns2 client asks for."""

from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from ...model.addresses import Family
from ...model.request import Api, Request
from ..credentials import token_of
from ..form import NOTHING, Parameters, listed

_MOST_ADDRESSES = 8


class Call(NamedTuple):
    """One call: what is asked of all its hosts. What is absent is empty."""

    hosts: tuple[str, ...]
    token: str
    addresses: tuple[str, ...]  # of either family
    prefix: str
    offline: bool

    def requests(self, source: str, peer: str) -> tuple[Request, ...]:
        """Return a request for each host, in their order."""
        return tuple(self._request(host, source, peer) for host in self.hosts)

    def _request(self, host: str, source: str, peer: str) -> Request:
        if self.offline:
            clear = tuple(Family)
            return Request(host, "", self.token, source, clear=clear, peer=peer, api=Api.DYNDNS2)
        first, more = (self.addresses[0], self.addresses[1:]) if self.addresses else ("", ())
        return Request(
            *(host, first, self.token, source),
            more=more,
            prefix=self.prefix,
            peer=peer,
            api=Api.DYNDNS2,
        )


def read_call(parameters: Parameters, headers: HTTPHeaders) -> Call:
    """Read the parameters that mean something here; all others, such as `wildcard` and `mx`, are ignored.

    A `password` parameter wins over the header, as a `token` does in the update API. More addresses than
    anybody has are left as one text, which is the address of nothing.
    """
    sent = dict.fromkeys((*listed(parameters.get("myip", "")), *listed(parameters.get("myipv6", ""))))
    return Call(
        hosts=listed(parameters.get("hostname", "")),
        token=parameters.get("password") or token_of(headers),
        addresses=tuple(sent) if len(sent) <= _MOST_ADDRESSES else (NOTHING,),
        prefix=parameters.get("ip6lanprefix", ""),
        offline=parameters.get("offline", "").lower() == "yes",
    )
