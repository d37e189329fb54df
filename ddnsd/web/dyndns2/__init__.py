"""The dyndns2 protocol: `/nic/update`, which nearly every router and client speaks (docs/dyndns2.md)."""

from ddnsd.web.dyndns2.endpoint import Dyndns2Endpoint

__all__ = ["Dyndns2Endpoint"]
