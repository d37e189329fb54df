"""Names that are not for everybody: those that programs look for, those above or below another's host. Pure.

Judged only when a host is made or passes to another account: what is stored goes on.
"""

from collections.abc import Iterator

from ddnsd.model.names import ancestors, is_below
from ddnsd.model.records import Resource
from ddnsd.model.resources import RESERVED, HostSpec
from ddnsd.service.problems import Reason
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import RefusedError


def judge(draft: Draft, name: str, host: Resource[HostSpec], zone: str) -> None:
    """Check that a host may be made, or given to its account, beside those of others.

    What Kubernetes has is refused; the admin API is the operator's, and is warned.

    Raises:
        RefusedError: the name is reserved, or lies above or below the host of another account.
    """
    spec = draft.zones.get(zone)
    assert spec is not None
    label, reserved = name.partition(".")[0], spec.spec.reserved
    if label in (RESERVED if reserved is None else reserved):
        remedy = f"choose another name, or write spec.reserved of Zone {zone} without it"
        message = f"{label} is a reserved label, as programs look for it; {remedy}"
        _object(draft, name, host, message, Reason.NAME_RESERVED)
    if not spec.spec.nested and (other := next(_others(draft, name, host, zone), None)) is not None:
        where = f"below {other}," if is_below(name, other) else "above"
        remedy = f"choose another name, or write nested: true in Zone {zone}"
        message = f"it lies {where} a host of another account; {remedy}"
        _object(draft, name, host, message, Reason.NAME_NESTED)
    draft.settle(name, zone)


def _object(draft: Draft, name: str, host: Resource[HostSpec], message: str, reason: Reason) -> None:
    if host.origin is not None:
        raise RefusedError(f"{name}: {message}", reason)
    draft.warn(name, message)


def _others(draft: Draft, name: str, host: Resource[HostSpec], zone: str) -> Iterator[str]:
    """Yield the hosts of other accounts that lie above or below the name, in its zone."""
    for each in _along(draft, name, zone):
        other = draft.hosts.get(each)
        if other is not None and other.spec.account != host.spec.account:
            yield each


def _along(draft: Draft, name: str, zone: str) -> Iterator[str]:
    for above in ancestors(name.partition(".")[2]):
        if above == zone:
            break
        yield above
    for below in draft.state.hosts_from(name, draft.zones):
        if below != name:
            yield below
    yield from draft.settled_below(name)
