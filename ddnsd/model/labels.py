"""Hosts by their first label alone, for clients that know no full names."""

from typing import TypeGuard

from ddnsd.model.attempt import Attempt, Target
from ddnsd.model.names import label_count
from ddnsd.model.state import State


def in_full(state: State, attempt: Attempt) -> Attempt:
    """Return the attempt with full names, where labels of its token's hosts are.

    A label that is none of them, or several, is a name that no host can have: it is refused like any other
    name, after a wrong token. Whether the token is valid is not looked at.
    """
    token = state.tokens.by_digest(attempt.digest)
    if token is None:
        return attempt._replace(targets=tuple(map(_nameless, attempt.targets)), short=False)
    spec = token.value.spec
    only = None if spec.hosts is None else frozenset(spec.hosts)

    def named(target: Target) -> Target:
        if not _is_label(target.name):
            return target
        found = state.hosts.labelled(spec.account, target.name)
        found = found if only is None else found & only
        return target._replace(name=next(iter(found)) if len(found) == 1 else None)

    return attempt._replace(targets=tuple(map(named, attempt.targets)), short=False)


def _nameless(target: Target) -> Target:
    return target._replace(name=None) if _is_label(target.name) else target


def _is_label(name: str | None) -> TypeGuard[str]:
    return name is not None and label_count(name) == 1
