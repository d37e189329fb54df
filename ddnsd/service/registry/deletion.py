"""The deletion of resources, with all that goes along. Pure: judges and fills a draft."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.records import Mark, RecordKey, Resource
from ddnsd.model.resources import Kind, Origin, Spec, previous_name
from ddnsd.service.problems import Reason
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import RefusedError
from ddnsd.service.registry.ownership import demand_own, is_anothers
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE

_HOST_COST = 1 + len(RRTYPES) + 1  # keys that the deletion of a host compares or writes, at most
COST = _HOST_COST + 1  # with those of the resource itself: what a deletion needs to get on


class Deleted(NamedTuple):
    """What has gone, in this commit or in all. `done`: the resource itself too."""

    hosts: int
    tokens: int
    done: bool


def delete(
    draft: Draft, kind: Kind, name: str, resource: Resource[Spec], *, cascade: bool, writer: Origin | None
) -> Deleted:
    """Put the deletion of a resource into the draft, or as much of it as one commit holds.

    What does not fit is left for the next commit; the account or zone is marked until then, so that
    nothing new is put there. Tokens that are somebody else's than the writer's stay, and are of no use.

    Raises:
        RefusedError: hosts belong to it, and they were not to go, or are somebody else's; or it is itself.
    """
    demand_own(draft, kind, name, writer)
    begun = resource.mark is Mark.DELETING
    # Of a deletion that has begun no step looks at more than it could do: nothing new comes meanwhile.
    hosts = list(islice(_hosts_of(draft, kind, name), MAX_KEYS_PER_UPDATE if begun else None))
    if kind is not Kind.HOST:
        _refuse_hosts(draft, kind, name, hosts, cascade=cascade or begun, writer=writer)
    tokens = list(islice(_tokens_of(draft, kind, name, writer), MAX_KEYS_PER_UPDATE))
    gone_hosts = _delete_hosts(draft, hosts)
    gone_tokens = _delete_tokens(draft, tokens)
    done = gone_hosts == len(hosts) and gone_tokens == len(tokens)
    if done:
        draft.of_kind(kind).drop(name)
    else:
        draft.of_kind(kind).put(name, msgspec.structs.replace(resource, mark=Mark.DELETING))
    return Deleted(gone_hosts, gone_tokens, done)


def has_hosts(draft: Draft, kind: Kind, name: str) -> bool:
    """Say whether hosts, whoever has written them, refer to this account or lie in this zone."""
    return kind is not Kind.HOST and next(_hosts_of(draft, kind, name), None) is not None


def _refuse_hosts(
    draft: Draft, kind: Kind, name: str, hosts: Sequence[str], *, cascade: bool, writer: Origin | None
) -> None:
    """Refuse a deletion because of the hosts that would go along."""
    title = f"{kind.value.lower()} {name}"
    if hosts and not cascade:
        message = f"{title} still has {_counted(hosts)}: delete them first, or use --cascade"
        raise RefusedError(message, Reason.HAS_HOSTS, count=len(hosts))
    managed = [host for host in hosts if is_anothers(draft, draft.hosts.get(host), writer)]
    if managed:
        message = f"{title} has {_counted(managed)} that Kubernetes manages: delete them there with kubectl"
        raise RefusedError(message, Reason.HAS_HOSTS, count=len(managed))


def _counted(hosts: Sequence[str]) -> str:
    return "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"


def _delete_hosts(draft: Draft, names: list[str]) -> int:
    """Put as many deletions into the draft as surely fit, beside that of the whole; return how many."""
    for count, name in enumerate(names):
        if not draft.fits(_HOST_COST + draft.given(name) + 1):
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
    draft.withdraw(RecordKey(name, Challenge.TXT))
    draft.forget(name)
    draft.hosts.drop(name)


def _hosts_of(draft: Draft, kind: Kind, name: str) -> Iterator[str]:
    """Yield the hosts that cannot be without the resource; a host itself is one."""
    if kind is Kind.HOST:
        yield name
    elif kind is Kind.ZONE:
        yield from draft.hosts_in(name)
    elif kind is Kind.ACCOUNT:
        yield from draft.hosts_of(name)


def _tokens_of(draft: Draft, kind: Kind, name: str, writer: Origin | None) -> Iterator[str]:
    """Yield the tokens that go with the resource: an account's, or the one of a token's former secret."""
    if kind is Kind.TOKEN and draft.tokens.get(previous_name(name)):
        yield previous_name(name)
    elif kind is Kind.ACCOUNT:
        for token in draft.tokens_of(name):
            if not is_anothers(draft, draft.tokens.get(token), writer):
                yield token
