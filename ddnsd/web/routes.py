"""Which path of the public listener is answered by whom."""

from ddnsd.service.update import UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.acmedns import AcmeDnsEndpoint, is_acme_dns
from ddnsd.web.checkip import JSON, TEXT, AddressEndpoint
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.duckdns import FOLDER, DuckDnsEndpoint
from ddnsd.web.dyndns2 import Dyndns2Endpoint
from ddnsd.web.health import AbilityEndpoint
from ddnsd.web.http import Endpoint, Exchange, Routes
from ddnsd.web.update import UpdateEndpoint

UPDATE_PATH = "/api/ddns/update"


def public_routes(
    service: UpdateService, sources: SourceFinder, metrics: Metrics, ability: AbilityEndpoint
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

    def choose(exchange: Exchange) -> None:
        (acme_dns if is_acme_dns(exchange.headers) else duckdns)(exchange)

    return choose
