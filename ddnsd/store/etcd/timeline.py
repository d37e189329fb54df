"""The timeline: a random text in the store that names its history, next to the clock.

etcd gives a restored snapshot a new cluster id only if the operator asks for one; a data folder that was
copied back, or a restore with the same token, keeps it, and goes on with revisions that have been used
before. Some node that was running notices that answers lie below what it has seen. The first of them
replaces the timeline; the others, whatever revisions they know, see by it that history is another one.
"""

import secrets
from typing import NamedTuple

from ddnsd.etcd import Client, Compare, Put, Range, Target, Txn
from ddnsd.etcd.values import RangeResult
from ddnsd.store.etcd.keyspace import Keyspace


class Ended(NamedTuple):
    """A history that is over."""

    cluster_id: int | None
    timeline: bytes


async def read_timeline(client: Client, space: Keyspace) -> bytes:
    """Return the timeline; begin the first one where there is none.

    It is read first: a full etcd refuses every transaction that could write, also one that would not.

    Raises:
        EtcdError: not now.
    """
    found = await client.get(space.timeline)
    if found is not None:
        return found.value
    return await _begin(client, space, Compare(space.timeline, Target.CREATE, 0))


async def next_timeline(client: Client, space: Keyspace, ended: Ended) -> bytes:
    """Return the timeline after a restore; begin it, unless somebody has, or the cluster is another one.

    Raises:
        EtcdError: not now.
    """
    timeline = await read_timeline(client, space)
    if Ended(client.cluster_id, timeline) != ended:
        return timeline
    return await _begin(client, space, Compare(space.timeline, Target.VALUE, ended.timeline))


async def _begin(client: Client, space: Keyspace, condition: Compare) -> bytes:
    fresh = secrets.token_hex(8).encode()
    begin = (Put(space.timeline, fresh), Put(space.clock, b""))
    # Done twice it finds what it has put the first time.
    answer = await client.txn(Txn((condition,), begin, (Range(space.timeline),)), repeatable=True)
    if answer.succeeded:
        return fresh
    (found,) = answer.results
    assert isinstance(found, RangeResult)
    if not found.items:  # somebody has deleted everything since we looked
        return await read_timeline(client, space)
    return found.items[0].value
