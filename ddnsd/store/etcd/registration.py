"""Registrations: a key on a lease of its own, which goes when its node dies."""

import asyncio
from typing import NamedTuple

from ddnsd.aio import first_of
from ddnsd.etcd import Lease, Put, Txn
from ddnsd.store.etcd.failures import Access
from ddnsd.store.etcd.keeper import Keeper
from ddnsd.store.etcd.session import Session
from ddnsd.store.interface import UnavailableError

_RETRY = 0.5  # seconds


class _Hold(NamedTuple):
    """What keeps the key."""

    session: Session
    lease: Lease


class EtcdRegistration:
    """See `store.interface.Registration`; make it with `open`."""

    def __init__(self, keeper: Keeper, key: str, value: bytes, ttl: int) -> None:
        self._keeper = keeper
        self._key = key
        self._value = value
        self._ttl = ttl
        self._writing = asyncio.Lock()
        self._hold: _Hold
        self._task: asyncio.Task[None]

    @classmethod
    async def open(cls, keeper: Keeper, key: str, value: bytes, ttl: int) -> "EtcdRegistration":
        """Register a key, with a lease of `ttl` seconds.

        Raises:
            UnavailableError: not now.
        """
        registration = cls(keeper, key, value, ttl)
        registration._hold = await registration._begin()
        registration._task = asyncio.create_task(registration._run(), name="etcd registration")
        return registration

    async def update(self, value: bytes) -> None:
        """Replace the value.

        Raises:
            UnavailableError: not now; later it is done when the key is looked after.
        """
        self._value = value
        await self._write(self._hold)

    async def close(self) -> None:
        """Remove the key, unless somebody else has registered it since; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._hold.lease.revoke()

    async def _begin(self) -> _Hold:
        session = self._keeper.session
        with session.translated(Access.WRITE):
            lease = await session.client.grant(self._ttl)
        hold = _Hold(session, lease)
        try:
            await self._write(hold)
        except BaseException:  # cancelled, too
            await lease.revoke()
            raise
        return hold

    async def _write(self, hold: _Hold) -> None:
        async with self._writing:
            put = Put(hold.session.space.key(self._key), self._value, hold.lease.id)
            with hold.session.translated(Access.WRITE):
                await hold.session.client.txn(Txn(success=(put,)), repeatable=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._look_after(self._hold)
                await self._hold.lease.revoke()
                self._hold = await self._begin()
            except UnavailableError:
                await asyncio.sleep(_RETRY)

    async def _look_after(self, hold: _Hold) -> None:
        """Return when the lease has gone, or the session; write the key anew when it alone has."""
        while hold.lease.alive and not hold.session.over.is_set():
            await first_of(hold.lease.ended(), hold.session.over.wait(), timeout=self._ttl)
            if hold.lease.alive and not await self._stands(hold):
                await self._write(hold)

    async def _stands(self, hold: _Hold) -> bool:
        with hold.session.translated():
            found = await hold.session.client.get(hold.session.space.key(self._key))
        return found is not None and (found.lease != hold.lease.id or found.value == self._value)
