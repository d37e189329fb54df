"""Names that clients shorten to their first label, expanded on a state that is current."""

from collections.abc import Callable, Sequence

import structlog

from ..model.labels import is_bare, resolve
from ..model.tokens import digest
from ..store.interface import StoreError
from ..store.snapshot import WatchCache

_log = structlog.get_logger(__name__)

Expanded = Callable[[tuple[str, ...] | None], None]


class Labels:
    """Expands bare labels to the hosts of the client's token."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def expand(self, token: str, names: Sequence[str], then: Expanded) -> None:
        """Call `then` with the names in their order, each label as a full name; None if the store fails.

        A label that is none of the token's hosts, or several of them, becomes a name that no host can have:
        it is refused like any other name, after a wrong token.
        """
        if not any(map(is_bare, names)):
            then(tuple(names))
            return
        holder = digest(token)

        def proceed(error: StoreError | None) -> None:
            try:
                then(None if error else tuple(self._expanded(holder, name) for name in names))
            except Exception:  # noqa: BLE001 - a bug with these names must not reach all that share the round
                _log.exception("labels.crashed")
                then(None)

        self._cache.when_current(proceed)

    def _expanded(self, holder: str, name: str) -> str:
        if not is_bare(name):
            return name
        return resolve(self._cache.state, holder, name) or f".{name}"
