"""Which path of the public listener is answered by whom."""

from ..service.update import UpdateService
from ..telemetry.metrics import Metrics
from .ability import AbilityEndpoint
from .acmedns import AcmeDnsEndpoint, is_acme_dns
from .checkip import JSON, TEXT, AddressEndpoint
from .duckdns import FOLDER, DuckDnsEndpoint
from .dyndns2 import Dyndns2Endpoint
from .http import Endpoint, Exchange, Routes
from .source import SourceFinder
from .update import UpdateEndpoint

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
