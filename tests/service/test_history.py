"""Who changed what, of a host, an account, or all; and what was refused."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ddnsd.model.records import HistoryEntry
from ddnsd.model.request import Api
from ddnsd.model.resources import Kind
from ddnsd.service.limits import MOST_REFUSED, RefusedAttempt, RefusedAttempts, concerning, newest
from ddnsd.service.registry import NotFoundError
from ddnsd.service.status import HistoryItem
from tests.service.registry_node import Node, account, host, single_node, token, zone

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
BLOG, MAIL, BOBS = "blog.example.com", "mail.example.com", "bob.example.com"


def change(minute: int, new: str = "192.0.2.7", type: str = "A") -> HistoryEntry:
    at = NOW + timedelta(minutes=minute, microseconds=minute % 2)
    return HistoryEntry(at, type, "", new, Api.UPDATE, "router", "198.51.100.1")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        hosts = [host(BLOG), host(MAIL), host(BOBS, "bob")]
        await node.registry.apply([zone("example.com"), account("alice"), account("bob"), *hosts])
        await node.note_changes(BLOG, change(1), change(4), change(4, "2001:db8::7", "AAAA"), change(6, ""))
        await node.note_changes(MAIL, change(3))
        await node.note_changes(BOBS, change(2), change(5))
        yield node


async def listed(node: Node, who: str, limit: int = 100, cursor: str = "") -> list[tuple[str, int]]:
    page = await node.registry.history(who, limit, cursor)
    return [(item.host, item.at.minute) for item in page.items]


async def test_a_change_is_told_whole(node: Node) -> None:
    (item, *_), _ = await node.registry.history(BLOG, 100)
    at = NOW + timedelta(minutes=6)
    assert item == HistoryItem(at, BLOG, "A", "", "", "update", "router", "198.51.100.1")


async def test_the_newest_changes_come_first(node: Node) -> None:
    assert await listed(node, BLOG) == [(BLOG, 6), (BLOG, 4), (BLOG, 4), (BLOG, 1)]
    assert await listed(node, "alice") == [(BLOG, 6), (BLOG, 4), (BLOG, 4), (MAIL, 3), (BLOG, 1)]
    assert [minute for _, minute in await listed(node, "")] == [6, 5, 4, 4, 3, 2, 1]


@pytest.mark.parametrize("limit", range(1, 9))
async def test_pages_follow_one_another(node: Node, limit: int) -> None:
    whole, cursor = (await node.registry.history("", 100)).items, ""
    paged: list[HistoryItem] = []
    while not paged or cursor:
        items, cursor = await node.registry.history("", limit, cursor)
        assert len(items) <= limit
        paged += items
    assert tuple(paged) == whole


async def test_a_host_is_named_in_any_spelling_and_known_when_it_is_gone(node: Node) -> None:
    await node.registry.delete(Kind.HOST, BLOG)
    assert len(await listed(node, "Blog.example.COM.")) == 4
    assert await listed(node, "alice") == [(MAIL, 3)]


async def test_what_was_never_changed_has_no_history(node: Node) -> None:
    await node.registry.apply([host("new.example.com"), account("carol")])
    assert await listed(node, "new.example.com") == []
    assert await listed(node, "carol") == []


@pytest.mark.parametrize("who", ["nobody", "nobody.example.com", "_", "*.example.com", "ALICE"])
async def test_who_is_unknown_is_an_error(node: Node, who: str) -> None:
    with pytest.raises(NotFoundError, match="there is no Host or Account"):
        await node.registry.history(who, 100)


# Refused attempts


def refused(*names: str) -> RefusedAttempts:
    attempts = RefusedAttempts()
    for minute, name in enumerate(names):
        at = NOW + timedelta(minutes=minute)
        attempts.note(RefusedAttempt(at, Api.DYNDNS2, name, "not_found", "198.51.100.1", ""))
    return attempts


def test_refused_attempts_are_bounded() -> None:
    attempts = refused(*(f"{number}.example.com" for number in range(MOST_REFUSED + 1)))
    names = [attempt.name for attempt in attempts.all()]
    assert (len(names), names[0], names[-1]) == (MOST_REFUSED, "1.example.com", f"{MOST_REFUSED}.example.com")


def test_the_newest_refused_attempts_come_first() -> None:
    attempts = (*refused("a", "b", "c").all(), *refused("d", "e").all())  # of two workers
    assert [attempt.name for attempt in newest(attempts, 3)] == ["c", "b", "e"]


async def test_refused_attempts_concern_a_host_or_an_account(node: Node) -> None:
    await node.registry.apply([token("router", "1"), token("bobs", "2", "bob")])
    attempts = refused(BLOG, BOBS, "nobody.example.com", "")
    attempts.note(RefusedAttempt(NOW, Api.UPDATE, "nobody.example.com", "not_found", "", "router"))
    attempts.note(RefusedAttempt(NOW, Api.UPDATE, BLOG, "not_found", "", "bobs"))

    def concerned(who: str) -> list[tuple[str, str]]:
        found = concerning(node.cache.state, who, attempts.all())
        return [(attempt.name, attempt.token) for attempt in found]

    assert concerned("") == [(each.name, each.token) for each in attempts.all()]
    assert concerned("Blog.example.com") == [(BLOG, ""), (BLOG, "bobs")]
    assert concerned("nobody.example.com.") == [("nobody.example.com", ""), ("nobody.example.com", "router")]
    assert concerned("alice") == [(BLOG, ""), ("nobody.example.com", "router"), (BLOG, "bobs")]
    assert concerned("bob") == [(BOBS, ""), (BLOG, "bobs")]
    assert concerned("_") == []
