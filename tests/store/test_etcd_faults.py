"""What the store does, says and counts when etcd is full, gone, or does not let us in."""

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from ddnsd.etcd import EtcdUser
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.interface import ConditionalWrite, Done, FailureKind, StoreHealth, UnavailableError, Unknown
from ddnsd.telemetry.metrics import STORE_FAILURES
from tests.rigs.etcd import EtcdRig, Version, versions
from tests.store.contract.actions import commit, put, take
from tests.waiting import until

PASSWORD = "correct horse"
TIMEOUT = 1.5  # seconds

pytestmark = pytest.mark.logs_errors


@pytest.fixture(params=versions(), ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> Version:
    found: Version = request.param
    return found


@asynccontextmanager
async def opened(settings: EtcdStoreSettings) -> AsyncIterator[EtcdStore]:
    store = await open_etcd(replace(settings, cluster=replace(settings.cluster, timeout=TIMEOUT)))
    yield store
    await store.close()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """Return the kinds, or what else tells them apart, of the lines with an event's name."""

    caplog.set_level(logging.INFO, "ddnsd.store")

    def said(event: str) -> list[str]:
        lines = [record for record in caplog.records if record.getMessage() == event]
        assert all(vars(record)["remedy"] for record in lines if event == "store.failing")
        return [str(getattr(line, "kind", "")) for line in lines]

    return said


def texts(health: StoreHealth) -> str:
    assert all(problem.remedy for problem in health.problems)
    return "\n".join(problem.text for problem in health.problems)


async def fails(call: Awaitable[object]) -> str:
    with pytest.raises(UnavailableError) as caught:
        await call
    return str(caught.value)


async def works(store: EtcdStore) -> bool:
    try:
        return isinstance(await commit(store, ConditionalWrite({}, {"hosts/a": b""})), Done)
    except UnavailableError:
        return False


def test_each_kind_of_failure_has_a_metric() -> None:
    assert set(STORE_FAILURES) == set(FailureKind)


async def test_without_quorum_calls_end_in_time_and_work_again_by_themselves(
    version: Version, said: Callable[[str], list[str]]
) -> None:
    with EtcdRig(version, members=3) as rig:
        async with opened(EtcdStoreSettings(rig.settings)) as store:
            counted: Counter[FailureKind] = Counter()
            store.on_failure(lambda kind: counted.update([kind]))
            await put(store, "hosts/a")
            watch = store.watch("hosts/", await store.revision() + 1)
            for member in rig.members[1:]:
                member.kill()
            for _ in range(2):
                began = time.monotonic()
                assert not await works(store)
                await fails(store.revision())
                assert time.monotonic() - began < 2 * TIMEOUT + 1
            health = await store.health()
            assert [server.error == "" for server in health.servers] == [True, False, False]
            assert texts(health)
            assert counted[FailureKind.NO_QUORUM] + counted[FailureKind.UNREACHABLE] >= 4
            assert sorted(said("store.failing")) == sorted(set(said("store.failing")))

            rig.members[1].launch()
            await until(lambda: works(store))
            assert "hosts/a" in (await take(watch, 1))[0].changes
            await store.revision()
            assert said("store.recovered") != []

            async def two_tell() -> bool:
                servers = (await store.health()).servers
                return [server.error == "" for server in servers] == [True, True, False]

            await until(two_tell)


async def test_full_etcd(version: Version, said: Callable[[str], list[str]]) -> None:
    with EtcdRig(version, options=("--quota-backend-bytes", "300000")) as rig:
        async with opened(EtcdStoreSettings(rig.settings, quota=300_000)) as store:
            counted: Counter[FailureKind] = Counter()
            store.on_failure(lambda kind: counted.update([kind]))
            assert "quota" not in texts(await store.health())
            with pytest.raises(UnavailableError, match="space exceeded"):
                await fill(store)
            for _ in range(3):
                await fails(put(store, "hosts/a"))
                await store.revision()
            assert said("store.failing") == ["no_space"], "once, though it can be read"
            failure = store.write_failure
            assert failure is not None
            assert not failure.is_own
            assert "defrag" in failure.remedy
            assert counted == {FailureKind.NO_SPACE: 4}
            told = texts(await store.health())
            assert "NOSPACE" in told
            assert "% of its quota" in told

            await store.compact(await store.revision())
            rig.ctl("defrag")
            rig.ctl("alarm", "disarm")
            assert await works(store)
            assert said("store.recovered") == [""]
            assert store.write_failure is None
            assert "NOSPACE" not in texts(await store.health())


async def fill(store: EtcdStore) -> None:
    """Write until etcd refuses; it looks at its size after each of its own commits, ten a second."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        await put(store, "hosts/large", bytes(50_000))


@pytest.fixture
def guarded(version: Version) -> Iterator[EtcdRig]:
    """etcd that asks for users: root, and `node` whose role may touch ddnsd/ only."""
    with EtcdRig(version) as rig:
        rig.ctl("user", "add", f"node:{PASSWORD}")
        rig.ctl("role", "add", "node")
        rig.ctl("role", "grant-permission", "node", "--prefix=true", "readwrite", "ddnsd/")
        rig.ctl("user", "grant-role", "node", "node")
        rig.enable_authentication("root's")
        yield rig


def as_node(rig: EtcdRig, password: str = PASSWORD) -> EtcdStoreSettings:
    return EtcdStoreSettings(replace(rig.settings, credentials=EtcdUser("node", password)))


async def test_role_on_the_prefix_is_enough(guarded: EtcdRig, said: Callable[[str], list[str]]) -> None:
    async with opened(as_node(guarded)) as store:
        watch = store.watch("hosts/", await store.revision() + 1)
        revision = await put(store, "hosts/a")
        assert (await take(watch, 1))[0].revision == revision
        assert (await store.snapshot("hosts/")).items.keys() == {"hosts/a"}
        leadership = await store.campaign(b"1")
        assert await leadership.confirm()
        registration = await store.register("one", b"1")
        await registration.update(b"2")
        await registration.close()
        await leadership.resign()
        old = guarded.version.folder is None  # without the patches of CVE-2026-33413
        assert await store.compact(revision) is old
        assert await store.compact(revision) is old
        assert len(said("store.compaction_denied")) == (0 if old else 1)
        health = await store.health()
        assert len(health.members) == 1
        assert [server.error for server in health.servers] == [""]
        assert ("may not compact" in texts(health)) is not old
        assert ("CVE-2026-33343" in texts(health)) is old
        assert said("store.failing") == []


async def test_permission_lost_and_granted_again(guarded: EtcdRig, said: Callable[[str], list[str]]) -> None:
    async with opened(as_node(guarded)) as store:
        watch = store.watch("hosts/", await store.revision() + 1)
        guarded.ctl("role", "revoke-permission", "node", "--prefix=true", "ddnsd/")
        for _ in range(3):
            assert "permission denied" in await fails(store.revision())
        assert said("store.failing") == ["permission"]
        assert "permission denied" in texts(await store.health())
        guarded.ctl("role", "grant-permission", "node", "--prefix=true", "readwrite", "ddnsd/")
        assert await works(store)
        await store.revision()
        assert said("store.recovered") == [""]
        await watch.aclose()


async def test_wrong_password(guarded: EtcdRig) -> None:
    settings = as_node(guarded, "wrong horse")
    message = await fails(open_etcd(settings))
    assert "store.etcd.user and password_file" in message
    assert "wrong horse" not in message


async def test_password_changed_meanwhile(guarded: EtcdRig, said: Callable[[str], list[str]]) -> None:
    async with opened(as_node(guarded)) as store:
        await put(store, "hosts/a")
        replace_user(guarded, "another")
        for _ in range(3):
            await fails(store.revision())
        assert said("store.failing") == ["authentication"]
        replace_user(guarded, PASSWORD)
        assert await works(store)


def replace_user(rig: EtcdRig, password: str) -> None:
    rig.ctl("user", "delete", "node")
    rig.ctl("user", "add", f"node:{password}")
    rig.ctl("user", "grant-role", "node", "node")


@pytest.mark.parametrize("side", ["server", "client"])
async def test_certificate_that_is_over(version: Version, side: str) -> None:
    with EtcdRig(version, tls=True) as rig:
        assert rig.certificates is not None
        rig.certificates.renew(side, days=-1)
        message = await fails(open_etcd(EtcdStoreSettings(replace(rig.settings, timeout=0.5))))
        assert "are still valid" in message


async def test_certificate_that_ends_while_the_store_is_open(
    version: Version, said: Callable[[str], list[str]]
) -> None:
    with EtcdRig(version, tls=True) as rig:
        assert rig.certificates is not None
        async with opened(EtcdStoreSettings(rig.settings)) as store:
            await put(store, "hosts/a")
            rig.certificates.renew("server", days=-1)
            (member,) = rig.members
            member.kill()
            member.launch()
            await until(lambda: is_said(said, "certificate"))
            await fails(store.revision())
            assert "CERTIFICATE_VERIFY_FAILED" in texts(await store.health())
            rig.certificates.renew("server")
            await until(lambda: works(store))


async def is_said(said: Callable[[str], list[str]], kind: str) -> bool:
    return kind in said("store.failing")


async def test_frozen_member_makes_commits_unknown(version: Version) -> None:
    with EtcdRig(version) as rig:
        async with opened(EtcdStoreSettings(rig.settings)) as store:
            await put(store, "hosts/a")
            with rig.members[0].frozen():
                outcome = await commit(store, ConditionalWrite({}, {"hosts/a": b""}))
                assert isinstance(outcome, Unknown)
            await until(lambda: works(store))
