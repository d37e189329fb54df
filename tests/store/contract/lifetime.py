import asyncio

import pytest

from ddnsd.store.interface import ConditionalWrite, Store, UnavailableError
from tests.store.contract.actions import DEADLINE, put
from tests.waiting import turn_loop


class LifetimeContract:
    async def test_store_has_an_identity(self, store: Store) -> None:
        assert store.identity
        assert store.limits.group >= 1
        assert store.limits.in_flight >= 1

    async def test_closed_store_refuses_everything(self, store: Store) -> None:
        leadership = await store.campaign(b"1")
        revision = await put(store, "hosts/a")
        await store.close()
        await store.close()
        for call in (
            store.snapshot(),
            store.revision(),
            store.commit([ConditionalWrite({}, {"hosts/a": b""})]),
            store.campaign(b"2"),
            leadership.confirm(),
            anext(store.watch("", revision)),
        ):
            with pytest.raises(UnavailableError):
                await call
        await leadership.resign()
        assert (await store.health()).servers

    async def test_closing_ends_what_waits(self, store: Store) -> None:
        leadership = await store.campaign(b"1")
        lost = asyncio.create_task(leadership.lost())
        campaign = asyncio.create_task(store.campaign(b"2"))
        reader = asyncio.ensure_future(anext(store.watch("hosts/", await store.revision() + 1)))
        await turn_loop()
        await store.close()
        await asyncio.wait_for(lost, DEADLINE)
        for waiting in (campaign, reader):
            with pytest.raises(UnavailableError):
                await asyncio.wait_for(waiting, DEADLINE)
