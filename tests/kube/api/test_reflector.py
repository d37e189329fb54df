"""The set of objects, kept current through everything that happens to an API server."""

import asyncio
from collections.abc import Callable

import pytest

from ddnsd.kube.api import (
    Absence,
    ApiClient,
    ApiUnavailableError,
    Backoff,
    ForbiddenError,
    Key,
    Reflector,
    ReflectorState,
    ReflectorView,
)
from tests.kube.api.lamps import Lamps
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder
from tests.tasks import running

DEADLINE = 15.0  # seconds until a view is as expected


@pytest.fixture
def reflector(client: ApiClient, lamps: Lamps) -> Reflector:
    return follower(client, lamps)


def follower(client: ApiClient, lamps: Lamps) -> Reflector:
    return Reflector(client, lamps.selection, Backoff(first=0.05, most=0.3))


async def until(reflector: Reflector, fits: Callable[[ReflectorView], bool]) -> ReflectorView:
    view = reflector.view()
    try:
        async with asyncio.timeout(DEADLINE):
            while not fits(view):
                view = await reflector.wait(view.version)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE} s: {view}") from None
    return view


def is_current(view: ReflectorView) -> bool:
    return view.state is ReflectorState.CURRENT


def names(view: ReflectorView) -> set[str]:
    return {key.name for key in view.objects}


def gone(view: ReflectorView) -> dict[str, Absence]:
    return {key.name: one.why for key, one in view.gone.items()}


async def test_the_set_is_complete_and_then_follows(reflector: Reflector, lamps: Lamps) -> None:
    lamps.put("a")
    assert reflector.view().state is ReflectorState.STARTING
    async with running(reflector.run()):
        view = await until(reflector, is_current)
        assert names(view) == {"a"}
        lamps.put("b", colour="green")
        view = await until(reflector, lambda view: names(view) == {"a", "b"})
    found = view.objects[Key(lamps.namespace, "b")]
    assert found.document()["spec"] == {"colour": "green"}
    assert view.resource_version == found.metadata.resource_version


async def test_an_empty_set_is_known_to_be_empty(reflector: Reflector) -> None:
    assert not reflector.view().complete
    async with running(reflector.run()):
        view = await until(reflector, is_current)
    assert view.complete
    assert not view.objects


async def test_a_deletion_that_was_seen_is_told_until_it_is_settled(
    reflector: Reflector, lamps: Lamps
) -> None:
    lamps.put("a")
    async with running(reflector.run()):
        await until(reflector, is_current)
        lamps.delete("a")
        view = await until(reflector, lambda view: bool(view.gone))
    assert not view.objects
    assert gone(view) == {"a": Absence.DELETED}
    reflector.settle(view.gone)
    assert not reflector.view().gone


async def test_what_is_made_again_is_not_gone(reflector: Reflector, lamps: Lamps) -> None:
    lamps.put("a")
    async with running(reflector.run()):
        await until(reflector, is_current)
        lamps.delete("a")
        before = await until(reflector, lambda view: bool(view.gone))
        lamps.put("a")
        view = await until(reflector, lambda view: bool(view.objects))
        assert not view.gone
        lamps.delete("a")
        await until(reflector, lambda view: bool(view.gone))
    reflector.settle(before.gone)  # of another object: what has gone since is not settled by it
    assert gone(reflector.view()) == {"a": Absence.DELETED}


async def test_a_deletion_between_two_watches_is_seen_as_long_as_history_is_kept(
    reflector: Reflector, lamps: Lamps
) -> None:
    lamps.put("a")
    async with running(reflector.run()):
        await until(reflector, is_current)
    lamps.delete("a")
    async with running(reflector.run()):
        view = await until(reflector, lambda view: not view.objects)
    assert gone(view) == {"a": Absence.DELETED}


async def test_what_is_missing_after_history_was_lost_has_vanished(
    reflector: Reflector, lamps: Lamps
) -> None:
    lamps.put("a")
    lamps.put("b")
    async with running(reflector.run()):
        await until(reflector, is_current)
    lamps.delete("a")
    lamps.rig.forget_history()
    async with running(reflector.run()):
        view = await until(reflector, lambda view: is_current(view) and len(view.objects) == 1)
    assert gone(view) == {"a": Absence.VANISHED}


async def test_a_restarted_server_that_forgot_all_history_costs_nothing(
    reflector: Reflector, lamps: Lamps, kubernetes: KubernetesRig
) -> None:
    lamps.put("a")
    async with running(reflector.run()):
        await until(reflector, is_current)
        kubernetes.kill()
        kubernetes.compact()
        kubernetes.launch()
        await asyncio.to_thread(kubernetes.wait)
        lamps.put("b")
        view = await until(reflector, lambda view: "b" in names(view))
    assert names(view) == {"a", "b"}
    assert not view.gone


async def test_without_the_server_the_set_is_stale_and_kept(
    reflector: Reflector, lamps: Lamps, kubernetes: KubernetesRig
) -> None:
    lamps.put("a")
    async with running(reflector.run()):
        await until(reflector, is_current)
        kubernetes.kill()
        view = await until(reflector, lambda view: view.state is ReflectorState.STALE)
        assert names(view) == {"a"}
        assert isinstance(view.error, ApiUnavailableError)
        kubernetes.launch()
        await asyncio.to_thread(kubernetes.wait)
        view = await until(reflector, is_current)
    assert names(view) == {"a"}
    assert view.error is None
    assert not view.gone


async def test_objects_that_go_with_their_crd_are_no_deletions(
    client: ApiClient, kubernetes: KubernetesRig, namespace: str
) -> None:
    lamps = Lamps(kubernetes, namespace)
    wanted = {f"lamp-{number}" for number in range(20)}
    for name in wanted:
        lamps.put(name)
    reflector = follower(client, lamps)
    async with running(reflector.run()):
        await until(reflector, is_current)
        await asyncio.to_thread(lamps.uninstall)
        view = await until(
            reflector, lambda view: view.state is ReflectorState.NOT_SERVED and bool(view.error)
        )
        assert not view.complete
        assert gone(view) == dict.fromkeys(wanted - names(view), Absence.UNINTENDED)
        await asyncio.to_thread(lamps.install)
        lamps.put("lamp-7")
        view = await until(reflector, lambda view: is_current(view) and names(view) == {"lamp-7"})
    assert gone(view) == dict.fromkeys(wanted - {"lamp-7"}, Absence.UNINTENDED)


async def test_a_crd_that_comes_later_is_found(
    client: ApiClient, kubernetes: KubernetesRig, namespace: str
) -> None:
    lamps = Lamps(kubernetes, namespace, "later.test")
    reflector = follower(client, lamps)
    async with running(reflector.run()):
        view = await until(reflector, lambda view: view.state is ReflectorState.NOT_SERVED)
        assert not view.complete
        await asyncio.to_thread(lamps.install)
        lamps.put("a")
        await until(reflector, lambda view: names(view) == {"a"})
    lamps.uninstall()


async def test_rights_that_come_later_are_used(
    client: ApiClient, kubernetes: KubernetesRig, lamps: Lamps, mounted: ProjectedFolder
) -> None:
    stranger = kubernetes.service_account(lamps.namespace, "stranger")
    kubernetes.mount(mounted, stranger.token)
    reflector = follower(client, lamps)
    async with running(reflector.run()):
        view = await until(reflector, lambda view: isinstance(view.error, ForbiddenError))
        assert view.state is ReflectorState.STARTING
        rule = {"apiGroups": [lamps.resource.group], "resources": ["lamps"], "verbs": ["list", "watch"]}
        kubernetes.allow(stranger, rule, namespace=lamps.namespace)
        await until(reflector, is_current)


async def test_the_pauses_of_a_backoff_grow_to_a_limit_and_begin_anew() -> None:
    backoff = Backoff(first=1.0, most=4.0)
    for whole in (1.0, 2.0, 4.0, 4.0):
        assert whole / 2 <= backoff.pause() <= whole
    backoff.reset()
    assert backoff.pause() <= 1.0


async def test_a_restored_backup_is_seen_and_what_it_lacks_is_nobodys_wish(
    reflector: Reflector, lamps: Lamps, kubernetes: KubernetesRig
) -> None:
    lamps.put("a")
    backup = kubernetes.back_up()
    lamps.put("b")
    for note in range(50):  # so that the API server's own writes do not make up for it
        lamps.put("a", note=str(note))
    async with running(reflector.run()):
        await until(reflector, is_current)
        kubernetes.kill()
        await until(reflector, lambda view: view.state is ReflectorState.STALE)
        kubernetes.restore(backup)
        lamps.wait()
        lamps.put("c")
        view = await until(reflector, lambda view: names(view) == {"a", "c"})
    assert gone(view) == {"b": Absence.UNINTENDED}
