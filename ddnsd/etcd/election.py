"""Election by lease: of the candidates' keys under a prefix the one that was created first leads.

The recipe is etcd's client/v3/concurrency/election.go: every candidate has a key of its own, so that the
queue is fair, and the revision that created the leader's key is its epoch.
"""

import asyncio

from ddnsd.aio import first_of
from ddnsd.etcd.client import EtcdClient
from ddnsd.etcd.errors import CampaignLostError, EtcdCompactedError, EtcdError, EtcdUnavailableError
from ddnsd.etcd.lease import Lease
from ddnsd.etcd.values import (
    Compare,
    CompareTarget,
    PutRequest,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    WatchRevision,
)

_PAUSE = 0.05  # seconds after a failure
_LOOK = 2.0  # seconds between two questions of a candidate that does not lead


class Campaign:
    """One candidate: in the queue, then leading, then not.

    `key` is its key; `epoch` the revision that created it, which grows with every leader. A write that
    must fail once it leads no more compares that the key's CREATE revision is the epoch.
    """

    def __init__(self, client: EtcdClient, prefix: bytes, key: bytes, epoch: int, lease: Lease) -> None:
        self.key = key
        self.epoch = epoch
        self._client = client
        self._prefix = prefix
        self._lease = lease
        self._first = asyncio.Event()
        self._following = asyncio.create_task(self._follow(), name="etcd election")
        self._looking = asyncio.create_task(self._look(), name="etcd election look")

    @property
    def leads(self) -> bool:
        """Say whether it leads by its own monotonic clock; nobody else is elected before that ends."""
        return self._first.is_set() and self._lease.alive

    async def elected(self) -> None:
        """Wait until it leads; cancelled, it leaves the queue, or the lead that nobody has heard of.

        Raises:
            CampaignLostError: it left the queue before.
        """
        heard = False
        try:
            await first_of(self._first.wait(), self._lease.ended())
            heard = self.leads
        finally:
            if not heard:
                await self.resign()
        if not heard:
            raise CampaignLostError("the candidate's lease or key has gone")

    async def lost(self) -> None:
        """Wait until leadership (or the place in the queue) is over: by our clock before the TTL is."""
        await self._lease.ended()

    async def confirm(self) -> bool:
        """Ask etcd, linearizably, whether it still leads and nobody has written to its key.

        Raises:
            EtcdError: it cannot be known now.
        """
        item = await self._client.get(self.key)
        # First once is first for good: whoever comes later has a higher create revision.
        return item is not None and item.mod_revision == self.epoch and self.leads

    async def resign(self) -> None:
        """Leave at once; the next in the queue leads. Idempotent."""
        for task in (self._looking, self._following):
            task.cancel()
        await asyncio.wait([self._looking, self._following])
        await self._lease.revoke()

    async def _look(self) -> None:
        """Leave the queue when etcd says that this key is the first, and its own watch never shows that.

        It would hold the lead, with a lease that is kept alive, and nobody would use it. Counted in answers,
        so that no time passes while the process is stopped or etcd does not answer.
        """
        unnoticed = 0.0  # seconds
        while unnoticed < self._lease.ttl:
            await asyncio.sleep(_LOOK)
            if self._first.is_set() or not self._lease.alive:
                return
            try:
                unnoticed = unnoticed + _LOOK if await self._is_first() else 0.0
            except EtcdError:
                unnoticed = 0.0
        if not self._first.is_set():
            await self._lease.revoke()

    async def _is_first(self) -> bool:
        """Ask etcd, linearizably, whether no older key is in the queue.

        Raises:
            EtcdError: it cannot be known now.
        """
        queue = await self._client.read_prefix(self._prefix)
        oldest = min(queue.items, key=lambda item: item.create_revision, default=None)
        return oldest is not None and (oldest.key, oldest.create_revision) == (self.key, self.epoch)

    async def _follow(self) -> None:
        """Keep up with the queue until the key has left it; then the lease is of no use."""
        queued = True
        while queued and self._lease.alive:
            try:
                queued = await self._follow_queue()
            except (EtcdUnavailableError, EtcdCompactedError):
                await asyncio.sleep(_PAUSE)  # then from a new snapshot, as long as the lease lives
            except EtcdError:
                break
        await self._lease.revoke()

    async def _follow_queue(self) -> bool:
        """Read the queue and watch it; return False once the key is not in it."""
        snapshot = await self._client.read_prefix(self._prefix)
        queue = {item.key: item.create_revision for item in snapshot.items}
        async with self._client.watch(self._prefix, snapshot.revision + 1) as watch:
            while queue.get(self.key) == self.epoch:
                if min(queue.values()) == self.epoch:
                    self._first.set()
                for revision in await watch.read():
                    _apply(queue, revision)
        return False


def _apply(queue: dict[bytes, int], revision: WatchRevision) -> None:
    for event in revision.events:
        if event.deleted:
            queue.pop(event.item.key, None)
        else:
            queue[event.item.key] = event.item.create_revision


async def enter(client: EtcdClient, prefix: bytes, value: bytes, ttl: int) -> Campaign:
    """Stand in the queue under `prefix` with a lease of `ttl` seconds; `value` says who.

    Raises:
        EtcdError: not now; the candidate is in the queue no more, at the latest after `ttl`.
    """
    lease = await client.grant(ttl)
    try:
        key = prefix + f"{lease.id:016x}".encode()
        epoch = await _register(client, key, value, lease)
    except BaseException:  # also when cancelled: nobody would ever end the lease
        await lease.revoke()
        raise
    return Campaign(client, prefix, key, epoch, lease)


async def _register(client: EtcdClient, key: bytes, value: bytes, lease: Lease) -> int:
    """Create the key and return its create revision; sent twice it finds the key of the first time."""
    answer = await client.txn(
        TxnRequest(
            compares=(Compare(key, CompareTarget.CREATE, 0),),
            success=(PutRequest(key, value, lease.id),),
            failure=(RangeRequest(key),),
        ),
        repeatable=True,
    )
    if answer.succeeded:
        return answer.revision
    (found,) = answer.results
    assert isinstance(found, RangeResponse)
    return found.items[0].create_revision
