"""The secret that a token had before, by whichever way it was changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.records import Resource
from ddnsd.model.resources import Kind, TokenSpec, previous_name
from ddnsd.service.documents import document_of, read_document, write_document
from ddnsd.service.registry import RefusedError, Result
from ddnsd.store import tables
from ddnsd.store.interface import ConditionalWrite
from tests.narrow import present
from tests.service.archives import exported, read
from tests.service.kubernetes import BLOG, stored
from tests.service.registry_node import Node, account, single_node, token


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


async def put(node: Node, raw: Any) -> Any:
    return (await node.registry.put(read_document(raw))).result


async def rotate(node: Node, digit: str, **spec: Any) -> Any:
    await put(node, token("router", digit, **spec))
    previous = await stored(node, Kind.TOKEN, previous_name("router"))
    return previous and previous.spec


async def test_the_former_secret_stays_valid_for_the_overlap(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    before = datetime.now(UTC)
    former = await rotate(node, "2", rotationOverlap=600, hosts=[BLOG], scopes=["txt"])
    assert (former.sha256, former.hosts, former.account) == ("1" * 64, (BLOG,), "alice")
    assert former.scopes == ("txt",)  # it may do what its token may, and no more
    assert 600 <= (former.expires - before).total_seconds() < 660
    again = await rotate(node, "3", rotationOverlap=600)
    assert again.sha256 == "2" * 64
    assert (await rotate(node, "2", rotationOverlap=600)).sha256 == "3" * 64  # back to the one before
    assert node.cache.state.tokens.by_digest("1" * 64) is None


@pytest.mark.parametrize(
    "change",
    [
        {"digit": "3"},
        {"digit": "2", "rotationOverlap": 0},
        {"digit": "2", "rotationOverlap": 600, "disabled": True},
        {"digit": "2", "rotationOverlap": 600, "owner": "bob"},
        {"digit": "3", "rotationOverlap": 600, "expires": "2020-01-01T00:00:00Z"},
    ],
)
async def test_the_former_secret_ends_at_once(node: Node, change: dict[str, Any]) -> None:
    await node.registry.apply([account("alice"), account("bob"), token("router", "1")])
    assert await rotate(node, "2", rotationOverlap=600)
    assert await rotate(node, **change) is None


async def test_a_secret_that_was_not_valid_is_not_kept(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1", disabled=True)])
    assert await rotate(node, "2", rotationOverlap=600) is None
    await node.registry.apply([token("router", "3", expires="2020-01-01T00:00:00Z")])
    assert await rotate(node, "4", rotationOverlap=600) is None


async def test_what_is_kept_is_never_kept_longer(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    first = await rotate(node, "2", rotationOverlap=600)
    assert (await rotate(node, "2", rotationOverlap=6000)).expires == first.expires
    assert (await rotate(node, "2", rotationOverlap=60)).expires < first.expires


async def test_the_former_secret_goes_with_its_token(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    await rotate(node, "2", rotationOverlap=600)
    await node.registry.delete(Kind.TOKEN, "router")
    assert await stored(node, Kind.TOKEN, "router:previous") is None


async def test_nobody_else_takes_a_secret_that_is_still_valid(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    await rotate(node, "2", rotationOverlap=600)
    with pytest.raises(RefusedError, match="has the same secret"):
        await put(node, token("other", "1"))


async def test_a_secret_that_is_over_is_free(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    over = Resource(TokenSpec("alice", "2" * 64, expires=datetime(2020, 1, 1, tzinfo=UTC)))
    await node.commits.commit(ConditionalWrite({}, {"tokens/router:previous": tables.encode(over)}))
    await put(node, token("other", "2"))
    assert await stored(node, Kind.TOKEN, "router:previous") is None


async def test_what_is_shown_can_be_applied_and_changes_nothing_else(node: Node) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    await rotate(node, "2", rotationOverlap=600)
    entry = await node.registry.get(Kind.TOKEN, "router:previous")
    shown = write_document(document_of(Kind.TOKEN, "router:previous", entry.value))
    assert await put(node, shown) is Result.UNCHANGED
    for raw in (shown | {"spec": shown["spec"] | {"disabled": True}}, token("other:previous", "4")):
        with pytest.raises(RefusedError, match="is made by ddnsd"):
            await put(node, raw)


async def test_an_export_takes_it_along(node: Node, tmp_path: Path) -> None:
    await node.registry.apply([account("alice"), token("router", "1")])
    former = await rotate(node, "2", rotationOverlap=600)
    async with single_node(tmp_path / "other") as other:
        await other.registry.restore(await read(await exported(node)))
        assert present(await stored(other, Kind.TOKEN, "router:previous")).spec == former
