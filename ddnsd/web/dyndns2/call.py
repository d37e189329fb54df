"""What a dyndns2 client asks for."""

from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import Family
from ddnsd.model.request import Api, Request
from ddnsd.web.credentials import token_of
from ddnsd.web.form import NOTHING, Parameters, listed, strays

_MOST_ADDRESSES = 8
# Names that clients give an address, of either family, in the order in which they are read: Dyn's, those of
# No-IP and deSEC (https://desec.readthedocs.io/en/latest/dyndns/update-api.html).
_ADDRESSES = ("myip", "myipv4", "ip", "ipv4", "myipv6", "ipv6")
# A prefix: AVM's placeholder (FritzBox), and dynv6's (https://dynv6.com/docs/apis).
_PREFIXES = ("ip6lanprefix", "ipv6prefix")
_KNOWN = frozenset(("hostname", "username", "password", "offline", *_ADDRESSES, *_PREFIXES))


class Call(NamedTuple):
    """One call: what is asked of all its hosts. What is absent is empty."""

    hosts: tuple[str, ...]
    token: str
    addresses: tuple[str, ...]  # of either family
    prefix: str
    offline: bool
    strays: tuple[str, ...] = ()  # under names that nobody knows

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
            strays=self.strays,
            prefix=self.prefix,
            peer=peer,
            api=Api.DYNDNS2,
        )


def read_call(parameters: Parameters, headers: HTTPHeaders) -> Call:
    """Read the parameters that mean something here; all others, such as `wildcard` and `mx`, are ignored.

    A `password` parameter wins over the header, as a `token` does in the update API. More addresses than
    anybody has are left as one text, which is the address of nothing.
    """
    texts = (item for name in _ADDRESSES for item in listed(parameters.get(name, "")))
    addresses = tuple(dict.fromkeys(texts))
    prefix = next(filter(None, (parameters.get(name) for name in _PREFIXES)), "")
    offline = parameters.get("offline", "").lower() == "yes"
    return Call(
        hosts=listed(parameters.get("hostname", "")),
        token=parameters.get("password") or token_of(headers),
        addresses=addresses if len(addresses) <= _MOST_ADDRESSES else (NOTHING,),
        prefix=prefix,
        offline=offline,
        strays=() if addresses or prefix or offline else strays(parameters, _KNOWN),
    )
