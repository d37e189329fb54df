"""Watches, on a real API server."""

import asyncio
from dataclasses import replace

import pytest

from ddnsd.kube.api import Client, Event, EventKind, ExpiredError, Settings, UnavailableError, Watch
from tests.kube.api.lamps import Lamps
from tests.rigs.kubernetes import KubernetesRig


async def read(watch: Watch, count: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(5):
        while len(events) < count:
            events += await watch.read()
    return events


async def test_a_watch_tells_what_happens_after_its_revision(client: Client, lamps: Lamps):
    lamps.put("before")
    listing = await client.list(lamps.selection)
    lamps.put("a")
    async with client.watch(lamps.selection, listing.resource_version) as watch:
        assert [event.kind for event in await read(watch, 1)] == [EventKind.ADDED]
        lamps.put("a", colour="green")
        lamps.delete("a")
        events = await read(watch, 2)
    assert [(event.kind, event.object.metadata.name) for event in events] == [
        (EventKind.MODIFIED, "a"),
        (EventKind.DELETED, "a"),
    ]
    assert events[1].object.document()["spec"]["colour"] == "green"


async def test_a_watch_ends_in_order_after_its_time(client: Client, lamps: Lamps):
    listing = await client.list(lamps.selection)
    async with asyncio.timeout(client.settings.watch_timeout + 1):
        async with client.watch(lamps.selection, listing.resource_version) as watch:
            while await watch.read():
                pass


async def test_an_event_larger_than_any_chunk_comes_whole(client: Client, lamps: Lamps):
    listing = await client.list(lamps.selection)
    async with client.watch(lamps.selection, listing.resource_version) as watch:
        lamps.put("a", note="n" * 1_000_000)
        (event,) = await read(watch, 1)
    assert len(event.object.document()["spec"]["note"]) == 1_000_000


async def test_a_watch_from_forgotten_history_has_expired(
    client: Client, kubernetes: KubernetesRig, lamps: Lamps
):
    version = lamps.put("a")
    lamps.put("a", colour="green")
    kubernetes.forget_history()
    lamps.wait()
    with pytest.raises(ExpiredError):
        async with client.watch(lamps.selection, version) as watch:
            await watch.read()


async def test_a_killed_server_ends_the_watch(client: Client, kubernetes: KubernetesRig, lamps: Lamps):
    listing = await client.list(lamps.selection)
    async with client.watch(lamps.selection, listing.resource_version) as watch:
        kubernetes.kill()
        with pytest.raises(UnavailableError):
            await watch.read()
    with pytest.raises(UnavailableError, match="refused"):
        await client.list(lamps.selection)
    kubernetes.start()
    lamps.wait()


async def test_a_frozen_server_is_given_up(kubernetes: KubernetesRig, settings: Settings, lamps: Lamps):
    client = Client(replace(settings, timeout=0.5))
    listing = await client.list(lamps.selection)
    async with client.watch(lamps.selection, listing.resource_version) as watch:
        with kubernetes.frozen():
            with pytest.raises(UnavailableError, match=r"silent for 3\.5 s"):
                await watch.read()
            with pytest.raises(UnavailableError, match=r"no answer within 0\.5 s"):
                await client.get(lamps.resource, "a", namespace=lamps.namespace)


async def test_a_watch_that_is_left_is_closed(client: Client, lamps: Lamps):
    listing = await client.list(lamps.selection)
    before = asyncio.all_tasks()
    async with client.watch(lamps.selection, listing.resource_version):
        assert len(asyncio.all_tasks()) == len(before) + 1
    assert asyncio.all_tasks() == before


async def test_a_cancellation_is_never_swallowed(client: Client, lamps: Lamps):
    for turns in range(60):  # wherever it comes
        task = asyncio.create_task(client.list(lamps.selection))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
