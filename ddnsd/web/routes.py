"""The public listener's paths, and the endpoint that has no module of its own.

That is the client's own address, for clients that cannot know it: as JSON, as plain text, in the page of
DynDNS.
"""

from collections.abc import Callable, Mapping

import msgspec

from ddnsd.model.addresses import Address, InvalidAddressError, parse_address
from ddnsd.service.update import UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web import replies
from ddnsd.web.acmedns import AcmeDnsEndpoint, is_acme_dns
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.duckdns import FOLDER, DuckDnsEndpoint
from ddnsd.web.dyndns2 import Dyndns2Endpoint
from ddnsd.web.forms import read_parameters
from ddnsd.web.health import HealthEndpoint
from ddnsd.web.http import Endpoint, HttpRequest, Routes
from ddnsd.web.update import UpdateEndpoint

JSON, TEXT, HTML = "json", "text", "html"
UNKNOWN = "无法确定客户端 IP 地址"

_TYPES = {JSON: replies.CONTENT_TYPE, TEXT: replies.TEXT_TYPE, HTML: "text/html; charset=utf-8"}
_PAGE = "<html><head><title>Current IP Check</title></head><body>{}</body></html>"


class AddressEndpoint:
    """Tells the address that an update without one would take."""

    def __init__(self, sources: SourceFinder, form: str) -> None:
        """`form` is that of the answer where the client does not ask for another: JSON, TEXT or HTML."""
        self._sources = sources
        self._form = form

    def __call__(self, exchange: HttpRequest) -> None:
        """Answer 200; 500 where only a proxy's address is known, which is a mistake in its configuration."""
        form = self._asked(exchange)
        source = self._sources.source(exchange.peer, exchange.headers)
        try:
            status, body = 200, _SHOWN[form](parse_address(source))
        except InvalidAddressError:
            status, body = 500, _FAILED[form]
        exchange.reply(status, body, **{"Content-Type": _TYPES[form]})

    def _asked(self, exchange: HttpRequest) -> str:
        asked = read_parameters(exchange.query, exchange.headers, b"").get("format", "").lower()
        if asked in _TYPES:
            return asked
        browser = "text/html" in exchange.headers.get("Accept", "").lower()
        return HTML if browser and self._form == TEXT else self._form


def _json(address: Address) -> bytes:
    data = {"ip": address.ip, "record_type": address.family}
    return msgspec.json.encode({"success": True, "data": data})


def _text(address: Address) -> bytes:
    return address.ip.encode()


def _page(address: Address) -> bytes:
    return _PAGE.format(f"Current IP Address: {address.ip}").encode()


_SHOWN: Mapping[str, Callable[[Address], bytes]] = {JSON: _json, TEXT: _text, HTML: _page}
_FAILED: Mapping[str, bytes] = {
    JSON: replies.failure(UNKNOWN),
    TEXT: UNKNOWN.encode(),
    HTML: _PAGE.format(UNKNOWN).encode(),
}


UPDATE_PATH = "/api/ddns/update"


def public_routes(
    service: UpdateService, sources: SourceFinder, metrics: Metrics, ability: HealthEndpoint
) -> Routes:
    """Return the routes of all APIs: docs/api.md, docs/dyndns2.md."""
    update = UpdateEndpoint(service, sources, metrics)
    dyndns2 = Dyndns2Endpoint(service, sources, metrics)
    duckdns = DuckDnsEndpoint(service, sources, metrics)
    address = AddressEndpoint(sources, TEXT)
    return {
        UPDATE_PATH: {"GET": update, "POST": update, "DELETE": update},
        "/api/ddns/ip": {"GET": AddressEndpoint(sources, JSON)},
        "/healthz": {"GET": ability, "HEAD": ability},
        "/nic/update": {"GET": dyndns2, "POST": dyndns2},
        "/v3/update": {"GET": dyndns2, "POST": dyndns2},
        "/nic/checkip": {"GET": address},
        "/checkip": {"GET": address},
        "/update": {"GET": duckdns, "POST": _either(AcmeDnsEndpoint(service, sources, metrics), duckdns)},
        FOLDER: {"GET": duckdns},
    }


def _either(acme_dns: Endpoint, duckdns: Endpoint) -> Endpoint:
    """Return what answers a `POST /update`, for which two APIs have the same path."""

    def choose(exchange: HttpRequest) -> None:
        (acme_dns if is_acme_dns(exchange.headers) else duckdns)(exchange)

    return choose
