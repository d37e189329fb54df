"""The store on each etcd that is there: one process for the module, a prefix for each test."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from ddnsd.etcd import DeleteRangeRequest, EtcdClient, PutRequest
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.interface import (
    CLOCK,
    MAX_KEYS_PER_UPDATE,
    ConditionalWrite,
    Done,
    RestoredError,
    Stale,
    UnavailableError,
)
from tests.narrow import present
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.ports import PortLease
from tests.store.contract import StoreContract
from tests.store.contract.actions import DEADLINE, Compact, put, take
from tests.waiting import turn_loop, until


@pytest.fixture(scope="module", params=versions(), ids=lambda version: version.name)
def rig(request: pytest.FixtureRequest) -> Iterator[EtcdRig]:
    with EtcdRig(request.param) as rig:
        yield rig


@pytest.fixture
def settings(rig: EtcdRig) -> EtcdStoreSettings:
    return EtcdStoreSettings(rig.settings, prefix=f"{uuid.uuid4().hex}/")


@pytest.fixture
async def store(settings: EtcdStoreSettings) -> AsyncIterator[EtcdStore]:
    store = await open_etcd(settings)
    await store.settle()  # its session key is there, so that the first commit, too, is one revision
    yield store
    await store.close()


@pytest.fixture
def compact(store: EtcdStore, settings: EtcdStoreSettings) -> Compact:
    async def compact_up_to_now() -> None:
        async with EtcdClient(settings.cluster) as client:
            await client.compact(await put(store, "filler"))

    return compact_up_to_now


class TestEtcdStore(StoreContract):
    pass


@pytest.mark.parametrize("compared", [0, 1, 5, 60, MAX_KEYS_PER_UPDATE])
@pytest.mark.parametrize("written", [1, 5, MAX_KEYS_PER_UPDATE])
async def test_etcd_takes_the_largest_groups(store: EtcdStore, compared: int, written: int) -> None:
    largest = ConditionalWrite(
        {f"compared/{number}": 0 for number in range(compared)},
        {f"written/{number}": b"" for number in range(written)},
    )
    assert store.limits.operations is not None
    small = store.limits.operations - max(compared, written) - 1
    updates = [largest, *(ConditionalWrite({}, {f"small/{number}": b""}) for number in range(small))]
    outcomes = await store.commit(updates)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    expected = dict.fromkeys([f"written/{number}" for number in range(written)], 0)
    (outcome,) = await store.commit([ConditionalWrite(expected, {"other": b""})])
    assert isinstance(outcome, Stale)
    assert len(outcome.current) == written


async def test_two_installations_do_not_see_each_other(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    other = await open_etcd(replace(settings, prefix=f"2{settings.prefix}"))
    leaderships = [await store.campaign(b""), await other.campaign(b"")]
    before = await other.revision()
    await put(store, "hosts/a")
    assert await other.revision() == before
    assert (await other.snapshot("hosts/")).items == {}
    assert all([await leadership.confirm() for leadership in leaderships])
    assert other.identity != store.identity
    await other.close()


async def test_store_opened_again_is_the_same(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    await put(store, "hosts/a")
    again = await open_etcd(settings)
    assert again.identity == store.identity
    assert await again.snapshot() == await store.snapshot()
    await again.close()


async def test_deleted_clock_is_written_anew(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    """Whoever deletes the clock may have deleted more, which a watch must have shown before the answer."""
    await put(store, "hosts/a")
    async with EtcdClient(settings.cluster) as client:
        for key in (CLOCK, "hosts/a"):
            deleted = (await client.delete(DeleteRangeRequest(f"{settings.prefix}{key}".encode()))).revision
    with pytest.raises(UnavailableError):
        await put(store, "hosts/b")
    assert await store.revision() > deleted
    await put(store, "hosts/b")
    assert (await store.snapshot(CLOCK)).items.keys() == {CLOCK}


async def test_key_of_another_program_is_no_failure(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    watch = store.watch("", await store.revision() + 1)
    async with EtcdClient(settings.cluster) as client:
        await client.put(PutRequest(settings.prefix.encode() + b"\xff", b""))
    (revision,) = await take(watch, 1)
    assert [*revision.changes] == ["\\xff"]
    assert "\\xff" in (await store.snapshot()).items


async def test_leader_whose_key_is_overwritten_leads_no_more(store: EtcdStore) -> None:
    """Its guard holds no more."""
    leader = await store.campaign(b"1")
    for key in leader.guard:
        await put(store, key)
    assert not await leader.confirm()


async def test_closing_hands_the_lead_over(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    """Long before the lease is over."""
    other = await open_etcd(replace(settings, lease_ttl=60))
    await other.campaign(b"1")
    waiting = asyncio.create_task(store.campaign(b"2"))
    await other.close()
    await asyncio.wait_for(waiting, DEADLINE)


async def test_nobody_there(rig: EtcdRig) -> None:
    port = PortLease()
    nowhere = replace(rig.settings_of(f"http://127.0.0.1:{port.port}"), timeout=0.3)
    with pytest.raises(UnavailableError, match="no connection"):
        await open_etcd(EtcdStoreSettings(nowhere))
    port.release()


@pytest.mark.logs_errors
@pytest.mark.parametrize("action", ["commit", "revision", "watch", "idle"])
async def test_restore_that_another_node_has_noticed(
    store: EtcdStore, settings: EtcdStoreSettings, action: str
) -> None:
    """A node that was cut off may come back when the new history has gone beyond what it knows."""
    async with EtcdClient(settings.cluster) as client:
        before = store.identity
        watch = store.watch("", await store.revision() + 1)
        await client.put(PutRequest(f"{settings.prefix}clock/timeline".encode(), b"another"))
        match action:
            case "commit":
                with pytest.raises(RestoredError):
                    await put(store, "hosts/a")
                assert await client.get(f"{settings.prefix}hosts/a".encode()) is None
            case "revision":
                with pytest.raises(RestoredError):
                    await store.revision()
            case "watch":
                with pytest.raises(RestoredError):  # long before the store looks by itself
                    await asyncio.wait_for(anext(watch), 1.5)
        await until_renewed(store, before)
        assert store.identity.endswith("-another")
        with pytest.raises(RestoredError):
            await anext(watch)
        await put(store, "hosts/a")


@pytest.mark.logs_errors
async def test_wiped_prefix_is_another_history(
    store: EtcdStore, settings: EtcdStoreSettings, rig: EtcdRig
) -> None:
    before = store.identity
    await put(store, "hosts/a")
    watch = store.watch("", await store.revision())
    rig.ctl("del", "--prefix", settings.prefix)
    with pytest.raises(RestoredError):
        await take(watch, 2)
    await until_renewed(store, before)
    assert (await store.snapshot("hosts/")).items == {}
    await put(store, "hosts/a")


async def until_renewed(store: EtcdStore, identity: str) -> None:
    async def renewed() -> bool:
        return store.identity != identity

    await until(renewed)


async def test_lost_registration_is_written_anew(settings: EtcdStoreSettings, rig: EtcdRig) -> None:
    store = await open_etcd(replace(settings, lease_ttl=2))
    registration = await store.register("one", b"1")
    lost = await lease_of(settings, "members/one")
    rig.ctl("lease", "revoke", f"{lost:x}")
    await until(lambda: stands(store, "members/one"))
    assert await lease_of(settings, "members/one") not in (0, lost)
    rig.ctl("del", f"{settings.prefix}members/one")
    await until(lambda: stands(store, "members/one"))
    await registration.close()
    assert (await store.snapshot("members/")).items == {}
    await store.close()


async def test_registration_goes_with_its_node(store: EtcdStore, settings: EtcdStoreSettings) -> None:
    other = await open_etcd(settings)
    await other.register("one", b"1")
    assert await stands(store, "members/one")
    await other.close()
    assert not await stands(store, "members/one")


async def stands(store: EtcdStore, key: str) -> bool:
    return key in (await store.snapshot()).items


async def lease_of(settings: EtcdStoreSettings, key: str) -> int:
    async with EtcdClient(settings.cluster) as client:
        found = await client.get(f"{settings.prefix}{key}".encode())
    assert found is not None
    return found.lease


async def test_a_renewed_session_ends_what_lived_by_the_one_before_and_goes_on(
    store: EtcdStore, settings: EtcdStoreSettings
) -> None:
    identity = store.identity
    registration = await store.register("me", b"here")
    leadership = await store.campaign(b"me")
    start = await put(store, "before") + 1
    watch = store.watch("", start)
    reading = asyncio.create_task(anext(watch))
    await turn_loop()
    async with EtcdClient(settings.cluster) as client:
        key = f"{settings.prefix}members/me".encode()
        held = present(await client.get(key))
        store.renew("a test")
        store.renew("a test")
        async with asyncio.timeout(5):
            with pytest.raises(UnavailableError):
                await reading
            await leadership.lost()
            await (await store.campaign(b"me")).resign()

            async def is_another() -> bool:
                return present(await client.get(key)).lease != held.lease

            await until(is_another)
            assert present(await client.get(key)).value == b"here"
    assert store.identity == identity
    after = await put(store, "after")
    (found,) = await take(store.watch("after", start), 1)
    assert found.revision == after
    await watch.aclose()
    await registration.close()
