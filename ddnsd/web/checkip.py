"""The client's own address, for who cannot know it: as JSON, as plain text, in the page of DynDNS."""

from collections.abc import Callable, Mapping

import msgspec

from ddnsd.model.addresses import Address, InvalidAddressError, parse_address
from ddnsd.web import replies
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.forms import read_parameters
from ddnsd.web.http import Exchange

JSON, TEXT, HTML = "json", "text", "html"
UNKNOWN = "无法确定客户端 IP 地址"

_TYPES = {JSON: replies.CONTENT_TYPE, TEXT: "text/plain; charset=utf-8", HTML: "text/html; charset=utf-8"}
_PAGE = "<html><head><title>Current IP Check</title></head><body>{}</body></html>"


class AddressEndpoint:
    """Tells the address that an update without one would take."""

    def __init__(self, sources: SourceFinder, form: str) -> None:
        """`form` is that of the answer where the client does not ask for another: JSON, TEXT or HTML."""
        self._sources = sources
        self._form = form

    def __call__(self, exchange: Exchange) -> None:
        """Answer 200; 500 where only a proxy's address is known, which is a mistake in its configuration."""
        form = self._asked(exchange)
        source = self._sources.source(exchange.peer, exchange.headers)
        try:
            status, body = 200, _SHOWN[form](parse_address(source))
        except InvalidAddressError:
            status, body = 500, _FAILED[form]
        exchange.reply(status, body, **{"Content-Type": _TYPES[form]})

    def _asked(self, exchange: Exchange) -> str:
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
