"""What an operator decides about the Kubernetes clusters on a store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.model.resources import Kind
from ddnsd.service.archive import Counts
from ddnsd.service.registry import NotFoundError, NotMineError, RefusedError, SourceTakenError
from ddnsd.service.source_status import source_warnings
from tests.service.archives import body, exported, read
from tests.service.kubernetes import BLOG, EVERYTHING, HELD, account_of, controller, stored
from tests.service.registry_node import Node, single_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


async def warnings(node: Node) -> str:
    return "; ".join(source_warnings((await node.registry.sources.list())["prod"]))


async def test_a_source_is_listed_with_what_it_has(node: Node) -> None:
    assert await node.registry.sources.list() == {}
    async with controller(node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        source = (await node.registry.sources.list())["prod"]
        assert (source.uid, source.controller, source.claimant) == ("uid-1", "node", "")
        assert source.resources == Counts(1, 1, 1, 1)
        assert await warnings(node) == ""
    assert "source prod has no controller" in await warnings(node)


async def test_a_takeover_gives_the_name_to_who_has_asked_for_it(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        with pytest.raises(RefusedError, match="nobody has asked for source prod"):
            await node.registry.sources.takeover("prod")
    async with controller(node, uid="uid-2") as other:
        with pytest.raises(SourceTakenError):
            await other.bind()
        assert "`ddnsd source takeover prod`" in await warnings(node)
        assert (await node.registry.sources.takeover("prod")).uid == "uid-2"
        await other.bind()
        assert await other.change(EVERYTHING) == ["unchanged"] * 4
    async with controller(node) as kube:
        with pytest.raises(NotMineError):
            await kube.change([account_of(name="bob")])


async def test_a_release_leaves_what_was_written_and_frees_it(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        with pytest.raises(RefusedError):
            await node.registry.delete(Kind.HOST, BLOG)
    assert (await node.registry.sources.release("prod")).uid == "uid-1"
    source = (await node.registry.sources.list())["prod"]
    assert (source.uid, source.resources.hosts) == ("", 1)
    assert "is bound to nobody" in await warnings(node)
    gone = await node.registry.delete(Kind.ACCOUNT, "prod:home:alice", cascade=True)
    assert (gone.hosts, gone.tokens) == (1, 1)
    await node.registry.delete(Kind.ZONE, "example.com")
    assert await node.registry.sources.list() == {}


async def test_pruning_allows_the_deletions_that_are_held_now(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
        with pytest.raises(RefusedError, match="holds no deletions"):
            await node.registry.sources.prune("prod")
        await kube.report((), HELD)
        assert "holds 12 deletions (12 of 20)" in await warnings(node)
        assert await node.registry.sources.prune("prod") == HELD
        await node.cache.current()
        assert node.cache.state.sources["prod"].value.pruned == "id-1"
        assert await warnings(node) == ""
        await kube.report((), None)
        await node.cache.current()
        assert node.cache.state.sources["prod"].value.pruned == ""


async def test_what_is_not_bound_is_not_found(node: Node) -> None:
    for ask in (node.registry.sources.takeover, node.registry.sources.release, node.registry.sources.prune):
        with pytest.raises(NotFoundError):
            await ask("prod")


async def test_an_export_takes_the_origins_along(node: Node, tmp_path: Path) -> None:
    async with controller(node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
    archive = await exported(node)
    async with single_node(tmp_path / "other") as other:
        restored = await other.registry.restore(await read(archive))
        assert restored.created == Counts(1, 1, 1, 1)
        assert await stored(other, Kind.HOST, BLOG) == await stored(node, Kind.HOST, BLOG)
        assert body(await exported(other)) == body(archive)
        async with controller(other, uid="uid-2") as kube:
            await kube.bind()
            assert await kube.change(EVERYTHING) == ["unchanged"] * 4


async def test_the_installation_that_the_objects_name_is_written_down_once(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
        for other in ("another", ""):
            await kube.note_installation(other)
            await node.cache.current()
            assert node.cache.state.sources["prod"].value.other_installation == other
            revision = await node.store.revision()
            await kube.note_installation(other)
            assert await node.store.revision() == revision, "nothing has changed"
