"""Hosts by their first label alone, for clients that know no full names."""

from .attempt import Attempt
from .names import label_count
from .resources import TokenSpec
from .state import State


def in_full(state: State, attempt: Attempt) -> Attempt:
    """Return the attempt with full names, where labels of its token's hosts are.

    A label that is none of them, or several, is a name that no host can have: it is refused like any other
    name, after a wrong token. Whether the token is valid is not looked at.
    """
    token = state.tokens.by_digest(attempt.digest)
    spec = token.value.spec if token else None
    targets = (
        target._replace(name=_host(state, spec, target.name))
        if target.name is not None and label_count(target.name) == 1
        else target
        for target in attempt.targets
    )
    return attempt._replace(targets=tuple(targets), short=False)


def _host(state: State, token: TokenSpec | None, label: str) -> str | None:
    """Return the one host with this first label that the token may change."""
    if token is None:
        return None
    found = state.hosts.labelled(token.account, label)
    if token.hosts is not None:
        found = found & frozenset(token.hosts)
    return next(iter(found)) if len(found) == 1 else None
