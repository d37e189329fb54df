"""A node of the next version shares the store: nothing that it wrote is lost by what this one writes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import (
    Committed,
    Placement,
    PlacementState,
    Published,
    PublishError,
    RecordKey,
    Work,
    WorkRequest,
)
from ddnsd.model.request import Refusal
from ddnsd.model.resources import Kind, digest
from ddnsd.service.registry import StoreFailedError
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite, Done, UnavailableError, Watch
from tests.leader.node import BLOG, SECRET, ZONE, Node, embedded_nameservers, example, host, node_on, zone
from tests.rigs.documents import document

BLOG_A = RecordKey(BLOG, Family.A)
NOW = datetime.now(UTC)
FUTURE = b'{"depth":[1,null,1e400]}'  # as it stands, to the byte
REWRITTEN = {
    *(kind.plural for kind in Kind),
    keys.REGISTRY,
    keys.ADDRESSES,
    keys.PUBLISHED,
    keys.PLACEMENTS,
    keys.REQUESTS,
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path / "store")
    yield store
    await store.close()


def with_fields(value: bytes) -> bytes:
    """Return a stored value as the next version would write it: with fields that this one does not know."""
    fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    for name in ("spec", "error"):
        if bytes(fields.get(name, b"")).startswith(b"{"):
            fields[name] = msgspec.Raw(with_fields(bytes(fields[name])))
    return msgspec.json.encode(fields | {"future": msgspec.Raw(FUTURE)})


async def seed(store: EmbeddedStore, node: Node) -> int:
    """Fill every shelf, then write all of it anew as the next version would; return the revision of that."""
    await node.apply(*example())
    error = PublishError(1, "REFUSED", NOW, "default")
    stored = {
        keys.address(BLOG_A): Committed("192.0.2.1", "", "c", NOW),
        keys.published(BLOG_A): Published(0, "", 60, "default", error=error),
        keys.placement(Placement(ZONE, "default")): PlacementState(error="seeded"),
        keys.request("one"): WorkRequest(Work.CHECK, ZONE, NOW),
    }
    await node.commits.commit(
        ConditionalWrite({}, {key: tables.encode(value) for key, value in stored.items()})
    )
    items = (await store.snapshot()).items
    puts = {key: with_fields(item.value) for key, item in items.items() if shelf(key) in REWRITTEN}
    outcome = await node.commits.commit(ConditionalWrite({}, puts))
    assert isinstance(outcome, Done)
    return outcome.revision


async def writes(watch: Watch, last: int) -> AsyncIterator[tuple[str, bytes]]:
    """Yield what is written up to a revision, but for keys that were deleted meanwhile."""
    gone: set[str] = set()
    async for revision in watch:
        for key, item in revision.changes.items():
            if item is None:
                gone.add(key)
            elif key not in gone:
                yield key, item.value
        if revision.revision >= last:
            return


def shelf(key: str) -> str:
    return key.partition("/")[0]


async def test_every_rewrite_keeps_what_the_next_version_wrote(store: EmbeddedStore, tmp_path: Path) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        seeded = await seed(store, node)
        watch = store.watch("", seeded + 1)
        node.lead()
        await node.update(BLOG, "192.0.2.2")
        token = document("Token", "router", account="alice", sha256=digest(SECRET), hosts=[BLOG])
        await node.apply(zone(ttl=33), document("Account", "alice", status="suspended"), host(ttl=44), token)
        await node.registry.work.finished("one", 10)
        await node.apply(host(families=["AAAA"]))  # a tombstone
        await node.published()
        written = [(shelf(key), value) async for key, value in writes(watch, node.cache.revision)]
        await watch.aclose()
    kept = [(where, value) for where, value in written if where in REWRITTEN]
    assert {where for where, _ in kept} == REWRITTEN
    assert [value for _, value in kept if value != with_fields(value)] == []
    assert any(where == keys.ADDRESSES and b'"ip":""' in value for where, value in kept)  # the tombstone


@pytest.mark.logs_errors
@pytest.mark.parametrize("where", [keys.address(BLOG_A), keys.published(BLOG_A), "tokens/router", "registry"])
async def test_node_that_is_too_old_says_so_and_writes_nothing(
    store: EmbeddedStore, tmp_path: Path, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        node.lead()
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        await store.commit(
            [ConditionalWrite({}, {where: b'{"v":2,"shape":[]}', "hosts/another": b'{"v":2}'})]
        )
        await node.until(lambda: node.state.leader is None)  # another node can publish
        before = await store.snapshot()
        assert await node.update(BLOG, "192.0.2.2") is Refusal.STORE_FAILED
        with pytest.raises(StoreFailedError, match="upgrade this node to the version of the others"):
            await node.apply(host(ttl=44))
        with pytest.raises(UnavailableError, match=where):
            await node.commits.commit(ConditionalWrite({}, {where: b""}))
        assert await store.snapshot() == before
        (said,) = (record for record in caplog.records if record.levelname == "ERROR")
        assert (said.getMessage(), vars(said)["key"]) == ("store.newer_version", where)
        assert "version 2" in vars(said)["reason"]
        await store.commit([ConditionalWrite({}, deletes=frozenset({where, "hosts/another"}))])
        await node.until(lambda: node.candidate.publisher is not None)
        await node.apply(host(ttl=44))
