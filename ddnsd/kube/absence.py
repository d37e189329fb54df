"""Which resources go because their objects are gone. Pure.

An object that was seen to be deleted is. One that is merely absent from a list may be so by mistake: a
cluster that was set up anew, a backup that was restored without it. A few go at once; many are held until
somebody says `ddnsd source prune`.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from ddnsd.kube.objects import Ref
from ddnsd.model.records import Resource
from ddnsd.model.resources import Kind, Spec, called, is_previous

_FEW = 10
_SHARE = 0.2


class Stored(NamedTuple):
    """A resource in the store that comes from an object.

    `doomed`: its object has gone before, and it only stays until nothing refers to it any more.
    """

    ref: Ref
    name: str  # what it is called in the store
    doomed: bool = False


class Sight(NamedTuple):
    """What is known of one kind's objects, of which all are.

    `present` is how many there are. `deleted` were seen to be so; `swept` went with their
    CustomResourceDefinition: nobody wished that.
    """

    present: int
    deleted: Collection[Ref] = ()
    swept: Collection[Ref] = ()


class GoneResources(NamedTuple):
    """Resources whose objects are gone: those that go now, and those that only `prune` lets go."""

    now: tuple[Stored, ...]
    held: tuple[Stored, ...]


def stored_as(kind: Kind, name: str, resource: Resource[Spec], source: str) -> Stored | None:
    """Return what object a resource comes from, None if from none of this source."""
    origin = resource.origin
    if origin is None or origin.source != source:
        return None
    if kind in (Kind.ZONE, Kind.HOST):
        return Stored(Ref(kind, origin.namespace, name), name, resource.held and kind is Kind.ZONE)
    if is_previous(name):  # it goes with its token
        return None
    return Stored(
        Ref(kind, origin.namespace, called(name, origin)), name, resource.held and kind is Kind.ACCOUNT
    )


def gone(
    missing: Mapping[Kind, Collection[Stored]],
    sights: Mapping[Kind, Sight],
    total: int,
    *,
    suspicious: bool,
) -> GoneResources:
    """Sort out the resources whose objects are missing, of a total of so many.

    `sights` has the kinds that are served and completely listed; nothing of another kind goes. All that is
    absent is held if that is `suspicious` for another reason, or if it is much; all of a kind, if none of
    it is there at all, as after its CustomResourceDefinition was put back.
    """
    now: list[Stored] = []
    absent: list[Stored] = []
    doubted: set[Ref] = set()
    for kind, sight in sights.items():
        certain = [one for one in missing[kind] if one.doomed or one.ref in sight.deleted]
        unseen = [one for one in missing[kind] if not (one.doomed or one.ref in sight.deleted)]
        now += certain
        absent += unseen
        doubted.update(sight.swept if sight.present else (one.ref for one in unseen))
    if suspicious or len(absent) > max(_FEW, _SHARE * total):
        return GoneResources(tuple(now), tuple(absent))
    now += (one for one in absent if one.ref not in doubted)
    return GoneResources(tuple(now), tuple(one for one in absent if one.ref in doubted))
