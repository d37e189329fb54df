"""Requests that a browser sends for another site's page, with the credentials that it remembers for this one.

Any page may have a browser send such a request, as for an image, and the browser adds Basic credentials by
itself. A token in the request's own parameters, or in a Bearer header, the page would have to know.
"""

from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders

from ddnsd.web.credentials import is_basic

_OWN = ("same-origin", "none")  # "none": a person has typed the address, or chosen a bookmark


def is_forged(headers: HTTPHeaders) -> bool:
    """Say whether another site's page has made a browser send the request, with its Basic credentials.

    By `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), which no page can set; of older browsers by
    `Origin` (RFC 6454 §7). Clients that are no browsers send neither.
    """
    if not is_basic(headers):
        return False
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.strip().lower() not in _OWN
    origin = headers.get("Origin")
    return origin is not None and not _is_same(origin, headers.get("Host", ""))


def _is_same(origin: str, host: str) -> bool:
    """Say whether an origin, such as `https://example.com:8443`, is of this host; a proxy may end TLS."""
    try:
        return bool(host) and urlsplit(origin.strip()).netloc.lower() == host.strip().lower()
    except ValueError:  # no URL, such as one with half an IPv6 address
        return False
