"""Requests that are none, by who sent them: whoever sends too many gets each answer later."""

from ddnsd.service.fairuse import FairUse
from ddnsd.web.exchange import Exchange
from ddnsd.web.source import SourceFinder


class Failures:
    """Counts what a source does wrong before any endpoint sees it: no such path, or too large a body."""

    def __init__(self, fair_use: FairUse, sources: SourceFinder) -> None:
        self._fair_use = fair_use
        self._sources = sources

    def __call__(self, exchange: Exchange) -> bool:
        """Note that an exchange's request is none; return whether its source has sent too many of them."""
        source = self._sources.source(exchange.peer, exchange.headers)
        return self._fair_use.fails_too_often(source or exchange.peer)
