"""Hosts by their first label alone, for clients that know no full names."""

from .names import InvalidNameError, label_count, parse_name
from .state import State


def resolve(state: State, digest: str, label: str) -> str | None:
    """Return the one host with this first label that the token may change; None if there is none, or several.

    `digest` is of the token's secret. Whether the token is valid is not looked at.
    """
    token = state.tokens.by_digest(digest)
    if token is None or not is_bare(label):
        return None
    spec = token.value.spec
    found = state.hosts.labelled(spec.account, parse_name(label))
    if spec.hosts is not None:
        found = found & frozenset(spec.hosts)
    return next(iter(found)) if len(found) == 1 else None


def is_bare(text: str) -> bool:
    """Say whether the text is one label that a name can begin with."""
    try:
        return label_count(parse_name(text)) == 1
    except InvalidNameError:
        return False
