"""An archive put into an installation: whole, again, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.resources import Kind
from ddnsd.service.archive import Archive, Counts
from ddnsd.service.documents import InvalidDocumentError
from ddnsd.service.registry import PartlyDoneError, RefusedError, Restored
from ddnsd.store.embedded import open_embedded
from ddnsd.store.installation import installation_owner
from tests.leader.faults import Fault, FaultyStore, Trigger
from tests.narrow import present
from tests.rigs.documents import document
from tests.service.archives import body, exported, read
from tests.service.registry_node import Node, account, host, node_on, single_node, token, zone
from tests.service.test_archive import GOLDEN

ZONE, BLOG = "example.com", "blog.example.com"
HOSTS = [f"h{number}.example.com" for number in range(200)]
NOTHING = Counts()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


async def archive(tmp_path: Path) -> bytes:
    """Return what another installation exports: 200 hosts with two addresses each, all else once."""
    async with single_node(tmp_path / "source") as source:
        documents = [zone(ZONE), account("alice", status="banned"), token("t", "a", hosts=[BLOG])]
        await source.registry.apply([*documents, *map(host, HOSTS)])
        for family, ip in ((Family.A, "192.0.2.7"), (Family.AAAA, "2001:db8::7")):
            await asyncio.gather(*(source.commit_address(name, ip, family) for name in HOSTS))
        return await exported(source)


async def restore(node: Node, text: bytes) -> Restored:
    return await node.registry.restore(await read(text))


async def test_archive_restored_and_exported_is_the_same(node: Node, tmp_path: Path) -> None:
    source = await archive(tmp_path)
    assert await restore(node, source) == Restored(Counts(1, 1, 200, 1), NOTHING, 400, 0)
    assert body(await exported(node)) == body(source)
    state = node.cache.state
    assert state.published.keys() == state.addresses.keys(), "what stands at their names is ddnsd's own"
    assert {(entry.value.revision, entry.value.ip) for entry in state.published.values()} == {
        (0, entry.value.ip) for entry in state.addresses.values()
    }
    assert state.registry[""].revision == node.cache.revision
    assert await restore(node, source) == Restored(NOTHING, Counts(1, 1, 200, 1), 0, 0)


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.UNANSWERED])
@pytest.mark.parametrize("at", [1, 2, 5])
async def test_import_that_broke_off_goes_on(tmp_path: Path, fault: Fault, at: int) -> None:
    source = await archive(tmp_path)
    store = await open_embedded(tmp_path / "target")
    await installation_owner(store)
    try:
        async with node_on(FaultyStore(store, Trigger(fault, at))) as node:
            (restored,) = await asyncio.gather(restore(node, source), return_exceptions=True)
            if fault is Fault.LOST:
                assert isinstance(restored, PartlyDoneError)
                assert "import the same export again to go on" in str(restored)
                assert isinstance(restored.done, Restored)
                assert restored.done.addresses == len(node.cache.state.addresses)
                restored = await restore(node, source)
            assert isinstance(restored, Restored)
            counts = [msgspec.structs.astuple(part) for part in (restored.created, restored.unchanged)]
            assert tuple(map(sum, zip(*counts, strict=True))) == (1, 1, 200, 1)
            assert body(await exported(node)) == body(source)
    finally:
        await store.close()


async def test_address_that_a_client_has_changed_since_is_kept(node: Node, tmp_path: Path) -> None:
    source = await archive(tmp_path)
    await restore(node, source)
    await node.commit_address(HOSTS[3], "192.0.2.99")
    assert await restore(node, source) == Restored(NOTHING, Counts(1, 1, 200, 1), 0, 1)
    assert present(await node.address(HOSTS[3])).ip == "192.0.2.99"


async def test_address_that_is_older_than_the_export_stands_in_the_way(node: Node, tmp_path: Path) -> None:
    source = await archive(tmp_path)
    await restore(node, source)
    await node.commit_address(HOSTS[3], "192.0.2.99")
    later = msgspec.structs.replace((await read(source)).header, time=datetime.now(UTC) + timedelta(days=1))
    before = await node.store.snapshot()
    with pytest.raises(RefusedError, match="1 that differ from the export's: import into an empty") as caught:
        await node.registry.restore(Archive(later, (await read(source)).items))
    (problem,) = caught.value.problems
    assert (problem.resource, caught.value.count) == (f"Host {HOSTS[3]}", 1)
    assert "its A is 192.0.2.99 already" in problem.message
    assert await node.store.snapshot() == before


async def test_tombstone_is_overwritten(node: Node) -> None:
    await node.registry.apply([zone(ZONE, ttl=300), account("alice"), host(BLOG)])
    await node.commit_address(BLOG, "192.0.2.1")
    await node.registry.delete(Kind.HOST, BLOG)
    restored = await restore(node, GOLDEN)
    assert restored == Restored(Counts(0, 0, 2, 1), Counts(1, 1, 0, 0), 3, 0)
    committed = present(await node.address(BLOG))
    assert (committed.ip, committed.previous) == ("192.0.2.7", "192.0.2.4")
    assert committed.changed == datetime(2026, 7, 1, 8, 15, 30, 123456, UTC)


IN_THE_WAY = (
    ([zone("example.org")], "1 zone that the export has not", 0),
    ([account("bob"), account("carol")], "2 accounts that the export has not", 0),
    ([account("alice"), zone(ZONE, ttl=60)], "1 that differ from the export's", 0),
    (
        [account("alice"), zone(ZONE, ttl=300), host(BLOG), host(f"my.{BLOG}"), token("other", "b")],
        "1 host and 1 token that the export has not, and 1 that differ from the export's",
        1,
    ),
)


@pytest.mark.parametrize(("there", "message", "hosts"), IN_THE_WAY)
async def test_nothing_that_exists_is_replaced(
    node: Node, there: list[Any], message: str, hosts: int
) -> None:
    await node.registry.apply(there)
    before = await node.store.snapshot()
    with pytest.raises(RefusedError) as caught:
        await restore(node, GOLDEN)
    assert f"the installation is not empty: it has {message}: " in str(caught.value)
    assert caught.value.count == hosts
    assert await node.store.snapshot() == before


async def test_what_documents_refer_to_is_checked_before_anything_is_written(node: Node) -> None:
    before = await node.store.snapshot()
    broken = GOLDEN.replace(b'"nameserver": "default"', b'"nameserver": "third"')
    broken = broken.replace(b'{"name": "alice"}', b'{"name": "bob"}')
    with pytest.raises(InvalidDocumentError) as caught:
        await restore(node, broken)
    assert [(problem.document, problem.field) for problem in caught.value.problems] == [
        (2, "spec.nameserver"),
        *((place, "metadata.name") for place in (4, 5)),
        (6, "spec.account"),
    ]
    assert await node.store.snapshot() == before


async def test_no_commit_is_larger_than_etcd_takes(node: Node, tmp_path: Path) -> None:
    many = [f"h{number}.{'x' * 50}.example.com" for number in range(1000)]
    async with single_node(tmp_path / "source") as source:
        tokens = [
            document("Token", f"t{number}", account="alice", sha256=f"{number:064x}", hosts=many)
            for number in range(30)
        ]
        await source.registry.apply([zone(ZONE), account("alice"), *tokens])
        text = await exported(source)
    start = await node.store.revision() + 1
    await restore(node, text)
    watch = node.store.watch("", start)
    sizes = []
    async for revision in watch:
        sizes.append(sum(len(present(item).value) for item in revision.changes.values()))
        if revision.revision == node.cache.revision:
            break
    await watch.aclose()
    assert sum(sizes) > 2_000_000
    assert max(sizes) < 1_500_000


async def test_others_change_what_they_like_meanwhile(node: Node, tmp_path: Path) -> None:
    """Updates of hosts that are imported already, and a change of resources between two chunks."""
    source = await archive(tmp_path)
    importing = asyncio.create_task(restore(node, source))
    await node.until(lambda: HOSTS[0] in node.cache.state.hosts)
    changes = [node.commit_address(name, "192.0.2.99") for name in list(node.cache.state.hosts)]
    await asyncio.gather(node.registry.apply([account("bob")]), *changes)
    restored = await importing
    assert restored.created == Counts(1, 1, 200, 1)
    ips = [present(await node.address(name)).ip for name in HOSTS]
    assert ips.count("192.0.2.99") == len(changes)
    assert ips.count("192.0.2.7") == len(HOSTS) - len(changes)


async def test_what_another_has_put_in_the_way_meanwhile_ends_it(node: Node, tmp_path: Path) -> None:
    source = await archive(tmp_path)
    importing = asyncio.create_task(restore(node, source))
    await node.until(lambda: HOSTS[0] in node.cache.state.hosts)
    await node.registry.apply([token("t", "b", disabled=True)])
    with pytest.raises(PartlyDoneError, match=r"\d+ of 203 documents are imported, .* \(Token t\)"):
        await importing
    assert node.cache.state.tokens["t"].value.spec.disabled
