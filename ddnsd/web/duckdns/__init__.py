"""`GET /update` and `GET /update/<domains>/<token>[/<ip>]`: DuckDNS (https://www.duckdns.org/spec.jsp)."""

from ddnsd.web.duckdns.call import FOLDER
from ddnsd.web.duckdns.endpoint import DuckDnsEndpoint

__all__ = ["FOLDER", "DuckDnsEndpoint"]
