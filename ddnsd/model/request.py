"""What a client asks for, whichever API it came by."""

from enum import StrEnum
from typing import NamedTuple

from ddnsd.model.addresses import RRType


class Api(StrEnum):
    """The ways in. The value is the `api` label of the request metrics, and stands in the history."""

    UPDATE = "update"  # /api/ddns/update
    DYNDNS2 = "dyndns2"  # /nic/update
    DUCKDNS = "duckdns"  # GET /update
    ACME_DNS = "acme_dns"  # POST /update
    EXPIRY = "expiry"  # no client: a host was not refreshed, or a challenge is over
    ADOPTION = "adoption"  # no client: the zone lets its hosts take what stood at their names


class Request(NamedTuple):
    """What a client asks of one name. An absent parameter is the empty string.

    The client's own address counts only where nothing else says what to do.
    """

    domain: str
    ip: str  # of either family
    token: str
    source: str  # the client's own address as seen from here, "" if it cannot be known
    ipv6: str = ""
    more: tuple[str, ...] = ()  # further addresses, of either family
    strays: tuple[str, ...] = ()  # under names that the API does not know: an address there is a mistake
    prefix: str = ""  # such as 2001:db8:1:2::/56: moves all hosts with an interface identifier
    moves: bool = True  # False: another request of the same call makes that move
    clear: tuple[RRType, ...] = ()  # records to withdraw
    text: str = ""  # a value for the TXT record of ACME challenges
    user: str = ""  # that the token must be named after; "": no matter
    short: bool = False  # whether a single label stands for the one host of the token that begins with it
    peer: str = ""  # of the connection: a proxy's, where the client's own address is not that
    api: Api = Api.UPDATE
