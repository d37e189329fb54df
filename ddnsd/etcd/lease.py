"""A lease that is kept alive, and whose holder knows by its own clock when it may be over.

etcd: api/etcdserverpb/rpc.proto, service Lease. etcd counts from the moment when it renews; we count
from before the request was sent, so that we are always the first to end.
"""

import asyncio
import secrets

from ddnsd.etcd.connections import ClusterChannel
from ddnsd.etcd.errors import EtcdError, LeaseExistsError, LeaseNotFoundError, RequestRefusedError
from ddnsd.etcd.messages import LEASE_GRANT, LEASE_KEEP_ALIVE, LEASE_REVOKE, AnyMessage

_MARGIN = 0.1  # of the TTL, for clocks that do not run alike
_RENEW_AFTER = 1 / 3  # of the TTL
_PAUSE = 0.2  # seconds between two tries to revoke


class Lease:
    """A granted lease; the keepalive starts with it. `ttl` in seconds, as etcd chose it."""

    def __init__(self, connections: ClusterChannel, id: int, ttl: int, sent: float) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self.id = id
        self.ttl = ttl
        self._over = asyncio.Event()
        self._revoked = False
        self._renewed = sent
        self._timer = self._loop.call_at(self._until, self._over.set)
        self._task = asyncio.create_task(self._keep(), name="etcd lease")

    @property
    def alive(self) -> bool:
        """Say whether it is certainly still held: by the clock, so also right after the process froze."""
        return not self._over.is_set() and self._loop.time() < self._until

    async def ended(self) -> None:
        """Wait until it may be over by our own monotonic clock, or is known to be."""
        await self._over.wait()

    async def revoke(self) -> None:
        """End it now, and in etcd as soon as a member answers; idempotent.

        Where none answers in time this returns, and the tries go on until the client is closed: after a
        failure of all its members etcd grants each lease its whole TTL anew.
        """
        self._stop()
        await asyncio.wait([self._task])
        if not await self._is_revoked():
            self._task = asyncio.create_task(self._revoke(), name="etcd lease revocation")

    async def _revoke(self) -> None:
        while not await self._is_revoked():
            if self._connections.closed:
                break
            await asyncio.sleep(_PAUSE)

    async def _is_revoked(self) -> bool:
        """Try to revoke it; say whether there is nothing more to do."""
        if self._revoked:
            return True
        timeout = self._connections.settings.try_timeout
        try:
            await self._connections.call_now(LEASE_REVOKE, LEASE_REVOKE.request(ID=self.id), timeout)
        except RequestRefusedError:
            pass  # as a rule because it has ended
        except EtcdError:
            return False
        self._revoked = True
        return True

    @property
    def _until(self) -> float:
        return self._renewed + self.ttl * (1 - _MARGIN)

    def _stop(self) -> None:
        self._timer.cancel()
        self._task.cancel()
        self._over.set()

    async def _keep(self) -> None:
        while not self._over.is_set():
            await asyncio.sleep(self._renewed + self.ttl * _RENEW_AFTER - self._loop.time())
            sent = self._loop.time()
            try:
                answer = await self._ask()
            except LeaseNotFoundError:
                break
            except EtcdError:
                await asyncio.sleep(0.05)  # and again, until the timer ends it
                continue
            if answer.TTL <= 0 or not self.alive:
                break
            self._renew(sent)
        self._timer.cancel()
        self._over.set()

    async def _ask(self) -> AnyMessage:
        # Short tries, so that `sent` is the moment before the one that was answered.
        timeout = min(self._connections.settings.try_timeout, self.ttl * _RENEW_AFTER)
        request = LEASE_KEEP_ALIVE.request(ID=self.id)
        return await self._connections.call_now(LEASE_KEEP_ALIVE, request, timeout, patience=timeout)

    def _renew(self, sent: float) -> None:
        self._renewed = sent
        self._timer.cancel()
        self._timer = self._loop.call_at(self._until, self._over.set)


async def grant(connections: ClusterChannel, ttl: int, timeout: float) -> Lease:
    """Grant a lease of `ttl` seconds (etcd may choose more) and keep it alive from then on.

    Raises:
        EtcdError: as `ClusterChannel.call_now`; never with an unknown outcome.
    """
    id = secrets.randbits(62) + 1  # ours, so that a grant whose answer was lost can be sent again
    sent = asyncio.get_running_loop().time()
    request = LEASE_GRANT.request(TTL=ttl, ID=id)
    try:
        answer = await connections.call_now(LEASE_GRANT, request, timeout)
    except LeaseExistsError:  # by an earlier try of this very call
        return Lease(connections, id, ttl, sent)
    return Lease(connections, id, answer.TTL, sent)
