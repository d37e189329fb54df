"""Who changed which resources: an entry with each commit, in the store, in order."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.audit import MOST_CHANGES, AuditChange, AuditItem, Author, What
from ddnsd.model.resources import Kind
from ddnsd.service.archive import ArchiveReader
from ddnsd.service.audit import AuditLog
from ddnsd.service.registry import RefusedError
from ddnsd.store import keys
from ddnsd.store.interface import ConditionalWrite
from tests.service.kubernetes import EVERYTHING, controller, zone_of
from tests.service.registry_node import Node, account, host, single_node, token, zone

ALICE = Author("ci", "192.0.2.7", "apply")
BLOG, SHOP = "blog.example.com", "shop.example.com"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path / "one") as node:
        await node.registry.by(ALICE).apply(
            [zone("example.com"), account("alice"), account("bob"), host(BLOG), token("router", "1")]
        )
        yield node


async def entries(node: Node) -> list[AuditItem]:
    """Return all entries, the oldest first."""
    return list(reversed((await AuditLog(node.store).page(1000)).items))


async def newest(node: Node) -> AuditItem:
    return (await AuditLog(node.store).page(1)).items[0]


async def test_one_commit_is_one_entry(node: Node) -> None:
    (entry,) = await entries(node)
    assert (entry.by, entry.address, entry.way) == ALICE
    assert (entry.created, entry.changed, entry.deleted) == (5, 0, 0)
    assert set(entry.changes) == {
        AuditChange(title, What.CREATED)
        for title in ("Zone example.com", "Account alice", "Account bob", f"Host {BLOG}", "Token router")
    }
    assert entry.withdrawn == ()


async def test_what_changes_nothing_is_no_entry(node: Node) -> None:
    await node.registry.by(ALICE).apply([zone("example.com"), account("alice")])
    with pytest.raises(RefusedError):
        await node.registry.by(ALICE).delete(Kind.ACCOUNT, "alice")
    assert len(await entries(node)) == 1


async def test_host_that_moves_to_another_account_says_what_it_loses(node: Node) -> None:
    await node.commit_address(BLOG, "192.0.2.1")
    applied = await node.registry.by(ALICE).apply([host(BLOG, "bob", ttl=30)])
    assert applied.withdrawn == (BLOG,)
    entry = await newest(node)
    (change,) = entry.changes
    assert change.title == f"Host {BLOG}"
    assert set(change.fields) == {"account: alice → bob", "ttl: none → 30"}
    assert entry.withdrawn == (BLOG,)


async def test_host_that_is_deleted_with_its_account_says_what_it_loses(node: Node) -> None:
    await node.registry.apply([host(SHOP)])
    await node.commit_address(SHOP, "2001:db8::1", Family.AAAA)
    await node.registry.by(Author("ops", "", "delete")).delete(Kind.ACCOUNT, "alice", cascade=True)
    entry = await newest(node)
    assert (entry.by, entry.deleted) == ("ops", 4)
    assert entry.withdrawn == (SHOP,)


async def test_secrets_are_not_shown(node: Node) -> None:
    await node.registry.by(ALICE).apply([token("router", "2")])
    change = next(change for change in (await newest(node)).changes if change.title == "Token router")
    assert change.fields == ("sha256",)


async def test_more_changes_than_are_named_are_counted(node: Node) -> None:
    hosts = [host(f"h{number:02}.example.com") for number in range(50)]
    await node.registry.by(ALICE).apply(hosts)
    entry = await newest(node)
    assert entry.created == 50
    assert len(entry.changes) == MOST_CHANGES


async def test_a_hundred_documents_are_still_one_commit(node: Node) -> None:
    applied = await node.registry.by(ALICE).apply([host(f"h{number}.example.com") for number in range(100)])
    assert applied.atomic
    assert (await newest(node)).created == 100


async def test_import_is_one_entry(node: Node, tmp_path: Path) -> None:
    await node.registry.apply([host(f"h{number}.example.com") for number in range(300)])
    reader = ArchiveReader()
    async for part in (await node.registry.export()).parts():
        await reader.feed(part)
    async with single_node(tmp_path / "two") as other:
        await other.registry.by(Author("admin", "192.0.2.9", "import")).restore(reader.finish())
        (entry,) = await entries(other)
    assert (entry.created, entry.way, len(entry.changes)) == (305, "import", MOST_CHANGES)


async def test_each_entry_is_a_line_in_the_log(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ddnsd.service")
    await node.commit_address(BLOG, "192.0.2.1")
    await node.registry.by(ALICE).delete(Kind.HOST, BLOG)
    (line,) = [record for record in caplog.records if record.getMessage() == "audit"]
    said = vars(line)
    assert (said["by"], said["address"]) == ("ci", "192.0.2.7")
    assert (said["changes"], said["withdrawn"]) == ([f"Host {BLOG} deleted"], [BLOG])


async def test_controller_is_named(node: Node) -> None:
    async with controller(node) as registry:
        before = len(await entries(node))
        await registry.bind()
        await registry.change([zone_of(name="example.net"), *EVERYTHING[1:2]])
        made = (await entries(node))[before:]
        assert sum(entry.created for entry in made) == 2
        assert {(entry.by, entry.way) for entry in made} == {("kubernetes/prod", "controller")}
        await registry.report(None, None)
        assert len(await entries(node)) == before + len(made), "what it says of itself is no change"


async def test_pages_follow_one_another(node: Node) -> None:
    for number in range(7):
        await node.registry.apply([host(f"h{number}.example.com")])
    log = AuditLog(node.store)
    found: list[AuditItem] = []
    cursor = ""
    while True:
        page = await log.page(3, cursor)
        found += page.items
        cursor = page.cursor
        if not cursor:
            break
    assert [item.id for item in found] == sorted((item.id for item in found), reverse=True)
    assert len(found) == 8


async def test_entries_of_a_host(node: Node) -> None:
    await node.registry.apply([host(SHOP)])
    await node.commit_address(SHOP, "192.0.2.1")
    await node.registry.delete(Kind.ACCOUNT, "alice", cascade=True)
    assert [item.withdrawn for item in await AuditLog(node.store).of_host(SHOP)] == [(SHOP,), ()]
    assert await AuditLog(node.store).of_host("hop.example.com") == []


async def test_entry_of_a_later_version_is_passed_over(node: Node) -> None:
    await node.commits.commit(ConditionalWrite({}, {keys.audit("30"): b'{"v":2}'}))
    assert len(await entries(node)) == 1


async def test_no_node_has_them_in_memory(node: Node) -> None:
    before = len(node.cache.state.hosts)
    await node.registry.apply([host(SHOP)])
    assert len(node.cache.state.hosts) == before + 1
    assert not any(key.startswith(keys.AUDIT) for key in node.cache._known)
