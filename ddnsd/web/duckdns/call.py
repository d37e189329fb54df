"""What a DuckDNS client asks for."""

from typing import NamedTuple

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.request import Api, Request
from ddnsd.web.form import Parameters, decoded, listed, strays

FOLDER = "/update/"

_ADDRESSES = ("ip", "ipv6", "ip6lanprefix")
_KNOWN = frozenset(("domains", "token", "verbose", "clear", "txt", *_ADDRESSES))
_IN_PATH = ("domains", "token", "ip")  # in their order


class Call(NamedTuple):
    """One call: what is asked of all its names, done for all or for none. What is absent is empty."""

    domains: tuple[str, ...]
    token: str
    ip: str
    ipv6: str
    prefix: str
    text: str  # the value of a TXT record
    clear: tuple[RRType, ...]
    verbose: bool
    strays: tuple[str, ...] = ()  # under names that nobody knows

    def requests(self, source: str, peer: str) -> tuple[Request, ...]:
        """Return a request for each domain, or the one that has none; a single label stands for a host."""
        return tuple(
            Request(
                *(name, self.ip, self.token, source),
                ipv6=self.ipv6,
                prefix=self.prefix,
                clear=self.clear,
                text=self.text,
                moves=not number,
                strays=self.strays,
                short=True,
                peer=peer,
                api=Api.DUCKDNS,
            )
            for number, name in enumerate(self.domains or ("",))
        )


def read_call(parameters: Parameters) -> Call:
    """Read the parameters that mean something here; all others are ignored.

    `clear=true` clears the addresses and sets none; beside a `txt`, also an empty one, it clears the TXT
    record: so lego and acme.sh take their challenge away. With a `txt` that says something no address is
    touched.
    """
    clears, text = _is_true(parameters, "clear"), parameters.get("txt", "")
    cleared: tuple[RRType, ...] = (Challenge.TXT,) if "txt" in parameters else tuple(Family)
    sets_address = not clears and not text
    asks = any(parameters.get(name) for name in _ADDRESSES)
    return Call(
        domains=listed(parameters.get("domains", "")),
        token=parameters.get("token", ""),
        ip=parameters.get("ip", "") if sets_address else "",
        ipv6=parameters.get("ipv6", "") if sets_address else "",
        prefix=parameters.get("ip6lanprefix", "") if sets_address else "",
        text="" if clears else text,
        clear=cleared if clears else (),
        verbose=_is_true(parameters, "verbose"),
        strays=() if asks or not sets_address else strays(parameters, _KNOWN),
    )


def read_path(path: str) -> Parameters | None:
    """Return the parameters in a path below `/update/`; None if it has more than can be meant."""
    segments = path.removeprefix(FOLDER).split("/")
    while segments and not segments[-1]:
        segments.pop()
    if len(segments) > len(_IN_PATH):
        return None
    return dict(zip(_IN_PATH, map(decoded, segments), strict=False))


def _is_true(parameters: Parameters, name: str) -> bool:
    return parameters.get(name, "").lower() == "true"
