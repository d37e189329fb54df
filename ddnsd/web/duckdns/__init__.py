"""`GET /update` and `GET /update/<domains>/<token>[/<ip>]`: DuckDNS (https://www.duckdns.org/spec.jsp)."""

from .call import FOLDER
from .endpoint import DuckDnsEndpoint

__all__ = ["FOLDER", "DuckDnsEndpoint"]
