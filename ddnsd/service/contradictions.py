"""What fields that are right by themselves may not say together."""

from collections.abc import Iterator

from ddnsd.config.reader import Problem
from ddnsd.model.addresses import Family
from ddnsd.model.resources import AccountSpec, HostSpec, Spec

MAX_NAME = 253  # characters (RFC 1035 §2.3.4)
MAX_WILDCARD_NAME = MAX_NAME - len("*.")


def contradictions(spec: Spec) -> Iterator[Problem]:
    """Yield what fields of a spec contradict others of it."""
    if isinstance(spec, AccountSpec) and spec.suspended_until is not None and spec.status != "suspended":
        yield Problem("spec.suspendedUntil", "only with status: suspended; leave it out, or write that")
    if isinstance(spec, HostSpec):
        if spec.ipv6_subnet is not None and spec.ipv6_suffix is None:
            yield Problem("spec.ipv6Subnet", "only with ipv6Suffix; leave it out, or write that, too")
        if spec.ipv6_suffix is not None and Family.AAAA not in spec.families:
            yield Problem("spec.ipv6Suffix", "only with AAAA in families; leave it out, or add that")


def crowding(name: str, spec: Spec) -> Iterator[Problem]:
    """Yield what a spec asks for that the resource's name leaves no room for."""
    if isinstance(spec, HostSpec) and spec.wildcard and len(name) > MAX_WILDCARD_NAME:
        message = f"leaves no room for *. before it: {MAX_WILDCARD_NAME} characters at most with wildcard"
        yield Problem("metadata.name", f"{message}: write wildcard: false, or a shorter name")
