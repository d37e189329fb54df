"""The deletion of resources, with all that goes along. Pure: judges and fills a draft."""

from collections.abc import Iterator
from typing import NamedTuple

from ...model.addresses import Family
from ...model.records import Mark, RecordKey, Resource
from ...model.resources import Kind, Spec
from .draft import Draft
from .errors import RefusedError

_HOST_COST = 1 + len(Family)  # keys that the deletion of a host compares or writes, at most


class Deleted(NamedTuple):
    """What has gone, in this commit or in all. `done`: the resource itself too."""

    hosts: int
    tokens: int
    done: bool


def delete(draft: Draft, kind: Kind, name: str, resource: Resource[Spec], *, cascade: bool) -> Deleted:
    """Put the deletion of a resource into the draft, or as much of it as one commit holds.

    What does not fit is left for the next commit; the account or zone is marked until then, so that
    nothing new is put there.

    Raises:
        RefusedError: hosts belong to it, and they were not to go.
    """
    hosts = list(_hosts_of(draft, kind, name))
    begun = resource.mark is Mark.DELETING
    if kind is not Kind.HOST and hosts and not (cascade or begun):
        count = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
        message = f"{kind.value.lower()} {name} still has {count}: delete them first, or use --cascade"
        raise RefusedError(message, count=len(hosts))
    tokens = list(_tokens_of(draft, kind, name))
    gone_hosts = _delete_hosts(draft, hosts)
    gone_tokens = _delete_tokens(draft, tokens)
    done = gone_hosts == len(hosts) and gone_tokens == len(tokens)
    if done:
        draft.of_kind(kind).drop(name)
    else:
        draft.of_kind(kind).put(name, resource.spec, Mark.DELETING)
    return Deleted(gone_hosts, gone_tokens, done)


def _delete_hosts(draft: Draft, names: list[str]) -> int:
    """Put as many deletions into the draft as surely fit, beside that of the whole; return how many."""
    for count, name in enumerate(names):
        if not draft.fits(_HOST_COST + 1):
            return count
        _delete_host(draft, name)
    return len(names)


def _delete_tokens(draft: Draft, names: list[str]) -> int:
    for count, name in enumerate(names):
        if not draft.fits(1 + 1):
            return count
        draft.tokens.drop(name)
    return len(names)


def _delete_host(draft: Draft, name: str) -> None:
    host = draft.hosts.get(name)
    for family in host.spec.families if host else ():
        draft.withdraw(RecordKey(name, family))
    draft.hosts.drop(name)


def _hosts_of(draft: Draft, kind: Kind, name: str) -> Iterator[str]:
    """Yield the hosts that cannot be without the resource; a host itself is one."""
    state = draft.state
    if kind is Kind.HOST:
        yield name
    elif kind is Kind.ZONE:
        yield from state.hosts_in(name)
    elif kind is Kind.ACCOUNT:
        yield from (host for host, entry in state.hosts.items() if entry.value.spec.account == name)


def _tokens_of(draft: Draft, kind: Kind, name: str) -> Iterator[str]:
    tokens = draft.state.tokens.items()
    if kind is Kind.ACCOUNT:
        yield from (token for token, entry in tokens if entry.value.spec.account == name)
