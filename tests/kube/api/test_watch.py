"""Watches, on a real API server."""

import asyncio
from dataclasses import replace

import pytest

from ddnsd.kube.api import (
    ApiClient,
    ApiSettings,
    ApiUnavailableError,
    ApiWatch,
    ExpiredError,
    WatchEvent,
)
from tests.kube.api.lamps import Lamps
from tests.rigs.kubernetes import KubernetesRig


async def read(watch: ApiWatch, count: int) -> list[WatchEvent]:
    """Return the next changes, and no bookmarks: the server sends those when it likes."""
    events: list[WatchEvent] = []
    async with asyncio.timeout(60):
        while len(events) < count:
            events += [event for event in await watch.read() if event.kind != "BOOKMARK"]
    return events


async def test_a_watch_tells_what_happens_after_its_revision(client: ApiClient, lamps: Lamps) -> None:
    lamps.put("before")
    since, _ = await client.list(lamps.selection)
    lamps.put("a")
    async with client.watch(lamps.selection, since) as watch:
        assert [event.kind for event in await read(watch, 1)] == ["ADDED"]
        lamps.put("a", colour="green")
        lamps.delete("a")
        events = await read(watch, 2)
    assert [(event.kind, event.object.metadata.name) for event in events] == [
        ("MODIFIED", "a"),
        ("DELETED", "a"),
    ]
    assert events[1].object.document()["spec"]["colour"] == "green"


async def test_a_watch_ends_in_order_with_a_bookmark_to_go_on_from(
    settings: ApiSettings, lamps: Lamps
) -> None:
    other = Lamps(lamps.rig, lamps.rig.namespace(), lamps.resource.group)
    events: list[WatchEvent] = []
    async with ApiClient(replace(settings, watch_timeout=5)) as client:  # the bookmark comes 1 to 2 s before
        since, _ = await client.list(lamps.selection)
        async with client.watch(lamps.selection, since) as watch:
            newest = other.put("elsewhere")  # nothing that this watch tells
            while more := await watch.read():
                events += more
    assert {event.kind for event in events} == {"BOOKMARK"}
    assert int(events[-1].object.metadata.resource_version) >= int(newest)


async def test_an_event_larger_than_any_chunk_comes_whole(client: ApiClient, lamps: Lamps) -> None:
    since, _ = await client.list(lamps.selection)
    async with client.watch(lamps.selection, since) as watch:
        lamps.put("a", note="n" * 1_000_000)
        (event,) = await read(watch, 1)
    assert len(event.object.document()["spec"]["note"]) == 1_000_000


async def test_a_watch_from_forgotten_history_has_expired(
    client: ApiClient, kubernetes: KubernetesRig, lamps: Lamps
) -> None:
    version = lamps.put("a")
    lamps.put("a", colour="green")
    kubernetes.forget_history()
    lamps.wait()
    with pytest.raises(ExpiredError):
        async with client.watch(lamps.selection, version) as watch:
            await watch.read()


async def test_a_killed_server_ends_the_watch(
    client: ApiClient, kubernetes: KubernetesRig, lamps: Lamps
) -> None:
    since, _ = await client.list(lamps.selection)
    async with client.watch(lamps.selection, since) as watch:
        kubernetes.kill()
        with pytest.raises(ApiUnavailableError):
            await watch.read()
    with pytest.raises(ApiUnavailableError, match="refused"):
        await client.list(lamps.selection)
    kubernetes.start()
    lamps.wait()


async def test_a_frozen_server_is_given_up(
    kubernetes: KubernetesRig, settings: ApiSettings, lamps: Lamps
) -> None:
    async with ApiClient(replace(settings, timeout=0.5)) as client:
        since, _ = await client.list(lamps.selection)
        async with client.watch(lamps.selection, since) as watch:
            with kubernetes.frozen():
                with pytest.raises(ApiUnavailableError, match=r"silent for 3\.5 s"):
                    await watch.read()
                with pytest.raises(ApiUnavailableError, match=r"no answer within 0\.5 s"):
                    await client.get(lamps.resource, "a", namespace=lamps.namespace)


async def test_a_watch_that_is_left_is_closed(client: ApiClient, lamps: Lamps) -> None:
    since, _ = await client.list(lamps.selection)
    before = asyncio.all_tasks()
    async with client.watch(lamps.selection, since) as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await watch.read()
        assert len(asyncio.all_tasks()) == len(before) + 1
    assert asyncio.all_tasks() == before


async def test_a_cancellation_that_comes_while_a_watch_is_left_is_not_swallowed(
    client: ApiClient, lamps: Lamps
) -> None:
    since, _ = await client.list(lamps.selection)
    lamps.put("a")
    left = asyncio.Event()

    async def leave() -> None:
        async with client.watch(lamps.selection, since):
            await asyncio.sleep(0.2)  # the event comes, and nobody reads it
            left.set()

    task = asyncio.create_task(leave())
    await left.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
