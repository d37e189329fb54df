"""Whose a resource is: what one has written, another does not change. Pure."""

from ddnsd.model.records import Resource
from ddnsd.model.resources import Kind, Origin, Spec
from ddnsd.service.problems import Reason
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import RefusedError


def is_anothers(draft: Draft, resource: Resource[Spec] | None, writer: Origin | None) -> bool:
    """Say whether the resource is somebody else's than the writer's.

    What was written under a source that is bound no more is nobody's: whoever comes first takes it.
    """
    if resource is None or resource.origin == writer:
        return False
    return resource.origin is None or draft.source(resource.origin.source) is not None


def demand_own(draft: Draft, kind: Kind, name: str, writer: Origin | None) -> None:
    """Check that the writer may change what is stored under this name, if anything is.

    Raises:
        RefusedError: it is somebody else's.
    """
    resource = draft.of_kind(kind).get(name)
    if resource is not None and is_anothers(draft, resource, writer):
        holder = _holder(kind, name, resource.origin, writer)
        raise RefusedError(f"{kind.value.lower()} {name} {holder}", Reason.NAME_TAKEN)


def _holder(kind: Kind, name: str, holder: Origin | None, writer: Origin | None) -> str:
    """Say who has a resource, and what the writer can do about it."""
    if holder is None:
        return f"belongs to the admin API: delete it with `ddnsd delete {kind.value.lower()} {name}` first"
    remedy = "change it there with kubectl"
    if writer is not None:
        remedy = "delete it there with kubectl first"
    if writer is None or writer.source != holder.source:
        remedy += f", or free it with `ddnsd source release {holder.source}`"
    return f"belongs to {holder}: {remedy}"
