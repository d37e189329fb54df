import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.expiry import Expiry
from ddnsd.model.records import Committed, Mark, RecordKey, Resource
from ddnsd.model.resources import Kind
from ddnsd.service.documents import InvalidDocumentError, read_document
from ddnsd.service.registry import (
    ANY,
    NotFoundError,
    PartlyDoneError,
    PreconditionFailedError,
    RefusedError,
    Result,
    StoreFailedError,
)
from ddnsd.service.registry.registry import PutResult
from ddnsd.service.registry.rules import Deleted
from ddnsd.service.status import HostStatus, RecordStatus, TextStatus, host_status
from ddnsd.store import keys, tables
from ddnsd.store.interface import ConditionalWrite, Outcome, Store, Unknown
from tests.narrow import only, present
from tests.rigs.documents import document
from tests.rigs.forwarding import ForwardingStore
from tests.service.registry_node import Node, account, host, node_on, single_node, token, zone

BASE = [zone("example.com"), account("alice")]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


@pytest.fixture
async def filled(node: Node) -> Node:
    """A node with a zone, an account, a host and a token."""
    await node.registry.apply([*BASE, host("blog.example.com"), token("router", "1")])
    return node


async def put(node: Node, raw: Any, if_match: Any = None) -> PutResult:
    return await node.registry.put(read_document(raw), if_match)


async def names(node: Node, kind: Kind) -> list[str]:
    return [name for name, _ in (await node.registry.list(kind, 1000)).items]


def results(applied: Any) -> list[Result]:
    return [result.result for result in applied.results]


# Reading and writing


async def test_put_creates_then_changes_then_leaves_alone(node: Node) -> None:
    created = await put(node, zone("example.com"))
    changed = await put(node, zone("example.com", ttl=30))
    again = await put(node, zone("Example.COM.", ttl=30))
    assert [created.result, changed.result, again.result] == ["created", "configured", "unchanged"]
    assert created.revision < changed.revision == again.revision
    assert (await node.registry.get(Kind.ZONE, "example.com")).revision == changed.revision


async def test_what_is_not_there_is_not_found(node: Node) -> None:
    with pytest.raises(NotFoundError):
        await node.registry.get(Kind.ZONE, "example.com")
    with pytest.raises(NotFoundError):
        await node.registry.delete(Kind.ZONE, "example.com")


async def test_a_listing_comes_in_pages_in_the_order_of_names(node: Node) -> None:
    await node.registry.apply([account(name) for name in ("d", "a", "c", "b", "e")])
    pages = [await node.registry.list(Kind.ACCOUNT, 2)]
    while pages[-1].cursor:
        pages.append(await node.registry.list(Kind.ACCOUNT, 2, pages[-1].cursor))
    assert [[name for name, _ in page.items] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_put_can_depend_on_the_revision(filled: Node) -> None:
    revision = (await filled.registry.get(Kind.ACCOUNT, "alice")).revision
    changed = await put(filled, account("alice", status="banned"), revision)
    with pytest.raises(PreconditionFailedError, match=f"revision {changed.revision} now"):
        await put(filled, account("alice"), revision)
    with pytest.raises(PreconditionFailedError):
        await put(filled, account("bob"), ANY)
    with pytest.raises(PreconditionFailedError):
        await filled.registry.delete(Kind.ACCOUNT, "alice", revision)
    assert (await put(filled, account("alice"), ANY)).result is Result.CONFIGURED


async def test_of_two_puts_of_one_revision_one_wins(filled: Node) -> None:
    revision = (await filled.registry.get(Kind.ACCOUNT, "alice")).revision
    async with node_on(filled.store) as other:
        both = await asyncio.gather(
            put(filled, account("alice", status="banned"), revision),
            put(other, account("alice", status="suspended"), revision),
            return_exceptions=True,
        )
    assert sorted(type(one).__name__ for one in both) == ["PreconditionFailedError", "PutResult"]


# What refers to what


@pytest.mark.parametrize(
    ("raw", "field", "expected"),
    [
        (host("a.example.org"), "metadata.name", "a.example.org lies in no zone"),
        (host("example.com"), "metadata.name", "is a zone's apex"),
        (host("a.example.com", "bob"), "spec.account", "there is no Account bob"),
        (token("t", "2", "bob"), "spec.account", "there is no Account bob"),
        (zone("example.org", nameserver="defualt"), "spec.nameserver", "did you mean default?"),
    ],
)
async def test_a_reference_to_nothing_is_refused(
    filled: Node, raw: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(InvalidDocumentError, match=expected) as caught:
        await put(filled, raw)
    assert caught.value.problems[0].field == field


async def test_a_secret_belongs_to_one_token(filled: Node) -> None:
    with pytest.raises(RefusedError, match="token router has the same secret") as caught:
        await put(filled, token("other", "1"))
    assert "1" * 8 not in str(caught.value)
    with pytest.raises(RefusedError, match="token a has"):
        await filled.registry.apply([token("a", "2"), token("b", "2")])
    await put(filled, token("router", "3"))
    await put(filled, token("other", "1"))


@pytest.mark.parametrize("taker", ["blog.example.com", "www.blog.example.com"])
async def test_a_zone_takes_no_hosts_over(filled: Node, taker: str) -> None:
    await filled.registry.apply([host("www.blog.example.com"), host("a.www.blog.example.com")])
    with pytest.raises(RefusedError, match=r"from zone example\.com") as caught:
        await put(filled, zone(taker))
    assert caught.value.count == {"blog.example.com": 3, "www.blog.example.com": 2}[taker]


async def test_a_zone_that_takes_nothing_over_is_welcome(filled: Node) -> None:
    await filled.registry.apply([zone("sub.example.com"), host("a.sub.example.com"), zone("com")])
    await put(filled, zone("other.example.com"))
    await put(filled, zone("deep.sub.example.com"))


async def test_a_zone_waits_for_records_that_still_have_to_leave(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.registry.delete(Kind.HOST, "blog.example.com")
    with pytest.raises(RefusedError, match="1 host"):
        await put(filled, zone("blog.example.com"))
    await filled.remove_tombstone("blog.example.com")
    await put(filled, zone("blog.example.com"))


async def test_either_the_zone_or_the_host_comes_first(filled: Node) -> None:
    """A zone and a host below it, created at once on two nodes: never both as if alone."""
    async with node_on(filled.store) as other:
        for round in range(10):
            name = f"z{round}.example.com"
            made = await asyncio.gather(
                put(filled, zone(name)), put(other, host(f"a.{name}")), return_exceptions=True
            )
            in_zone = filled.cache.state.zone_of(f"a.{name}")
            if isinstance(made[0], RefusedError):
                assert made[0].count == 1
            else:
                assert in_zone == name
            assert not isinstance(made[1], Exception)


async def test_the_account_goes_or_the_host_comes(filled: Node) -> None:
    async with node_on(filled.store) as other:
        for round in range(10):
            await put(filled, account("bob"))
            gone, come = await asyncio.gather(
                filled.registry.delete(Kind.ACCOUNT, "bob"),
                put(other, host(f"h{round}.example.com", "bob")),
                return_exceptions=True,
            )
            assert isinstance(gone, RefusedError) != isinstance(come, InvalidDocumentError)
            if isinstance(gone, RefusedError):
                await filled.registry.delete(Kind.ACCOUNT, "bob", cascade=True)


# Addresses


async def test_a_deleted_host_leaves_tombstones_where_it_had_addresses(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.registry.delete(Kind.HOST, "blog.example.com")
    address = present(await filled.address("blog.example.com"))
    assert (address.ip, address.previous, address.zone) == ("", "", "example.com")
    assert await filled.address("blog.example.com", Family.AAAA) is None


async def test_a_family_taken_away_leaves_a_tombstone(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.commit_address("blog.example.com", "2001:db8::1", Family.AAAA)
    await put(filled, host("blog.example.com", families=["AAAA"]))
    assert present(await filled.address("blog.example.com")).is_tombstone
    assert not present(await filled.address("blog.example.com", Family.AAAA)).is_tombstone


async def test_another_owner_inherits_no_address(filled: Node) -> None:
    await put(filled, account("bob"))
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await put(filled, host("blog.example.com", "bob"))
    assert present(await filled.address("blog.example.com")).is_tombstone


async def test_another_owner_is_not_told_of_an_address_that_was_withdrawn_before(filled: Node) -> None:
    await put(filled, account("bob"))
    record = RecordKey("blog.example.com", Family.A)
    withdrawn = Committed("", "192.0.2.1", "test", datetime.now(UTC), "example.com", cleared=True)
    await filled.commits.commit(ConditionalWrite({}, {keys.address(record): tables.encode(withdrawn)}))
    await put(filled, host("blog.example.com", "bob"))
    address = present(await filled.address("blog.example.com"))
    assert (address.ip, address.previous, address.cleared) == ("", "", False)


async def test_a_change_of_nothing_else_keeps_the_address(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await put(filled, host("blog.example.com", ttl=30, enabled=False))
    assert present(await filled.address("blog.example.com")).ip == "192.0.2.1"


async def test_no_address_outlives_its_host(filled: Node) -> None:
    """Updates race with deletions: what is committed is withdrawn, what comes after is not committed."""
    for round in range(10):
        name = f"h{round}.example.com"
        await put(filled, host(name))
        await asyncio.gather(
            filled.commit_address(name, "192.0.2.1"),
            filled.registry.delete(Kind.HOST, name),
            return_exceptions=True,
        )
        address = await filled.address(name)
        assert address is None or address.is_tombstone


async def test_a_host_waits_until_its_records_have_left_another_zone(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.registry.delete(Kind.ZONE, "example.com", cascade=True)
    await put(filled, zone("com"))
    with pytest.raises(RefusedError, match=r"still being removed from zone example\.com"):
        await put(filled, host("blog.example.com"))
    await put(filled, zone("example.com"))
    await put(filled, host("blog.example.com"))


async def test_the_status_tells_what_is_committed(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.cache.current()
    status = host_status(filled.registry.state, "blog.example.com", datetime.now(UTC))
    assert status.A is not None
    assert status == HostStatus(A=RecordStatus("192.0.2.1", "", status.A.changed, None, ""))


async def test_the_status_tells_the_challenges(filled: Node) -> None:
    await filled.commit_address("blog.example.com", "first second", Challenge.TXT)
    await filled.cache.current()
    status = host_status(filled.registry.state, "blog.example.com", datetime.now(UTC))
    assert status.TXT is not None
    assert status == HostStatus(TXT=TextStatus(("first", "second"), status.TXT.changed, None, ""))


async def test_the_status_tells_whether_a_host_expires(filled: Node) -> None:
    await put(filled, host("blog.example.com", expiresAfter=3600))
    await filled.commit_address("blog.example.com", "192.0.2.1")
    await filled.cache.current()
    seen = filled.registry.state.addresses[RecordKey("blog.example.com", Family.A)].value.changed
    for minutes, expiry in ((1, Expiry.FRESH), (50, Expiry.EXPIRING), (60, Expiry.EXPIRED)):
        later = seen + timedelta(minutes=minutes)
        status = host_status(filled.registry.state, "blog.example.com", later)
        assert (status.last_seen, status.expires) == (seen, seen + timedelta(hours=1))
        assert status.state is expiry


# Deletion


@pytest.mark.parametrize(("kind", "name"), [(Kind.ZONE, "example.com"), (Kind.ACCOUNT, "alice")])
async def test_what_has_hosts_goes_only_with_them(filled: Node, kind: Kind, name: str) -> None:
    with pytest.raises(RefusedError, match="still has 1 host: delete them first, or use --cascade") as caught:
        await filled.registry.delete(kind, name)
    assert caught.value.count == 1
    gone = await filled.registry.delete(kind, name, cascade=True)
    assert gone.hosts == 1
    assert await names(filled, Kind.HOST) == []
    assert await names(filled, kind) == []


async def test_tokens_go_with_their_account(filled: Node) -> None:
    await filled.registry.delete(Kind.HOST, "blog.example.com")
    gone = await filled.registry.delete(Kind.ACCOUNT, "alice")
    assert (gone.hosts, gone.tokens) == (0, 1)
    assert await names(filled, Kind.TOKEN) == []


async def test_a_zone_with_hosts_of_a_zone_below_it_goes_alone(filled: Node) -> None:
    await filled.registry.apply([zone("sub.example.com"), host("a.sub.example.com")])
    gone = await filled.registry.delete(Kind.ZONE, "example.com", cascade=True)
    assert gone.hosts == 1
    assert await names(filled, Kind.HOST) == ["a.sub.example.com"]


async def fill(node: Node, count: int) -> None:
    """Make so many hosts, each with two addresses."""
    hosts = [f"h{number:03}.example.com" for number in range(count)]
    await node.registry.apply([*BASE, *map(host, hosts)])
    await asyncio.gather(*(node.commit_address(name, "192.0.2.1") for name in hosts))
    await asyncio.gather(*(node.commit_address(name, "2001:db8::1", Family.AAAA) for name in hosts))


async def test_a_large_deletion_goes_in_chunks(node: Node) -> None:
    await fill(node, 120)
    gone = await node.registry.delete(Kind.ACCOUNT, "alice", cascade=True)
    assert gone.hosts == 120
    assert await names(node, Kind.HOST) == []
    assert all(entry.value.is_tombstone for entry in node.cache.state.addresses.values())
    assert len(node.cache.state.addresses) == 240


async def mark_deleting(node: Node, kind: Kind, name: str) -> None:
    """Leave what a deletion leaves whose node died after its first chunk."""
    spec = (await node.registry.get(kind, name)).value.spec
    value = tables.encode(Resource(spec, Mark.DELETING))
    await node.commits.commit(ConditionalWrite({}, {keys.resource(kind, name): value}))


async def test_a_deletion_that_was_cut_off_refuses_what_is_new_and_goes_on(filled: Node) -> None:
    await mark_deleting(filled, Kind.ACCOUNT, "alice")
    for new in (host("new.example.com"), token("new", "2")):
        with pytest.raises(RefusedError, match="account alice is being deleted"):
            await put(filled, new)
    await filled.registry.delete(Kind.ACCOUNT, "alice")
    assert await names(filled, Kind.HOST) == []


async def test_a_deletion_that_was_cut_off_is_taken_back_by_a_put(filled: Node) -> None:
    await mark_deleting(filled, Kind.ZONE, "example.com")
    with pytest.raises(RefusedError, match=r"zone example\.com is being deleted"):
        await put(filled, host("new.example.com"))
    assert (await put(filled, zone("example.com"))).result is Result.CONFIGURED
    await put(filled, host("new.example.com"))


async def test_two_deletions_of_one_account_delete_it_once(node: Node) -> None:
    await fill(node, 80)
    async with node_on(node.store) as other:
        both = await asyncio.gather(
            node.registry.delete(Kind.ACCOUNT, "alice", cascade=True),
            other.registry.delete(Kind.ACCOUNT, "alice", cascade=True),
            return_exceptions=True,
        )
    gone = [one for one in both if not isinstance(one, NotFoundError)]
    assert sum(only(Deleted, one).hosts for one in gone) == 80


# Apply


async def test_the_order_of_the_documents_does_not_matter(node: Node) -> None:
    raws = [token("router", "1"), host("blog.example.com"), *BASE]
    applied = await node.registry.apply(raws)
    assert applied.atomic
    assert [(result.document, result.kind) for result in applied.results] == [
        (1, Kind.TOKEN),
        (2, Kind.HOST),
        (3, Kind.ZONE),
        (4, Kind.ACCOUNT),
    ]
    assert results(await node.registry.apply(raws)) == ["unchanged"] * 4


async def test_what_is_unchanged_is_not_written(filled: Node) -> None:
    before = await filled.store.revision()
    await filled.registry.apply([*BASE, host("blog.example.com")])
    assert await filled.store.revision() == before


async def test_one_bad_document_refuses_all_and_every_problem_is_told(filled: Node) -> None:
    raws = [account("bob"), host("a.example.org"), host("b.example.com", "carol"), zone("x", ttl=0)]
    with pytest.raises(InvalidDocumentError) as caught:
        await filled.registry.apply(raws)
    assert [problem.document for problem in caught.value.problems] == [4]
    with pytest.raises(InvalidDocumentError) as caught:
        await filled.registry.apply(raws[:3])
    assert [(problem.document, problem.resource) for problem in caught.value.problems] == [
        (2, "Host a.example.org"),
        (3, "Host b.example.com"),
    ]
    assert await names(filled, Kind.ACCOUNT) == ["alice"]


async def test_a_resource_written_twice_is_refused(node: Node) -> None:
    with pytest.raises(InvalidDocumentError, match="the same as document 1"):
        await node.registry.apply([zone("example.com"), zone("EXAMPLE.com", ttl=30)])


async def revisions_of(node: Node, kind: Kind) -> set[int]:
    return {entry.revision for _, entry in (await node.registry.list(kind, 1000)).items}


async def test_a_hundred_documents_are_one_commit(node: Node) -> None:
    raws = [*BASE, *(host(f"h{number}.example.com") for number in range(98))]
    applied = await node.registry.apply(raws)
    assert applied.atomic
    every_kind = [await revisions_of(node, kind) for kind in (Kind.ZONE, Kind.ACCOUNT, Kind.HOST)]
    assert len(set.union(*every_kind)) == 1


async def test_beyond_a_hundred_it_goes_in_chunks_and_says_so(node: Node) -> None:
    raws = [*(host(f"h{number}.example.com") for number in range(250)), *BASE]
    applied = await node.registry.apply(raws)
    assert not applied.atomic
    assert results(applied) == ["created"] * 252
    assert len(await names(node, Kind.HOST)) == 250


async def test_a_hundred_documents_that_withdraw_more_than_a_commit_holds_go_in_chunks(node: Node) -> None:
    await fill(node, 60)
    applied = await node.registry.apply(
        [account("bob"), *(host(f"h{number:03}.example.com", "bob") for number in range(60))]
    )
    assert not applied.atomic
    assert results(applied) == ["created"] + ["configured"] * 60
    assert all(entry.value.is_tombstone for entry in node.cache.state.addresses.values())


async def test_a_large_apply_is_checked_whole_before_anything_is_written(filled: Node) -> None:
    raws = [*(host(f"h{number}.example.com") for number in range(200)), host("a.example.org")]
    with pytest.raises(InvalidDocumentError):
        await filled.registry.apply(raws)
    assert await names(filled, Kind.HOST) == ["blog.example.com"]


async def test_a_large_apply_that_is_cut_off_says_how_far_it_came(filled: Node) -> None:
    """Another node deletes the account in the middle: the hosts before it stay, the others are not made."""
    await put(filled, account("bob"))
    raws = [host(f"h{number:03}.example.com", "bob") for number in range(400)]
    async with node_on(filled.store) as other:

        async def interrupt() -> None:
            while len(other.cache.state.hosts) < 50:
                await other.cache.current()
            await mark_deleting(other, Kind.ACCOUNT, "bob")
            await put(other, account("someone-elses-turn"))

        applying = asyncio.create_task(filled.registry.apply(raws))
        await interrupt()
        with pytest.raises(PartlyDoneError, match="being deleted") as caught:
            await applying
    told = results(caught.value.done)
    created = told.count(Result.CREATED)
    assert told == ["created"] * created + ["not applied"] * (400 - created)
    assert len(await names(filled, Kind.HOST)) == 1 + created
    assert 0 < created < 400


async def test_many_writers_on_two_nodes_all_get_their_turn(filled: Node) -> None:
    async with node_on(filled.store) as other:
        await asyncio.gather(
            *(
                put(node, account(f"{who}-{number}"))
                for who, node in enumerate((filled, other))
                for number in range(40)
            )
        )
    assert len(await names(filled, Kind.ACCOUNT)) == 81
    revisions = sorted(await revisions_of(filled, Kind.ACCOUNT))
    assert all(earlier < later for earlier, later in pairwise(revisions))


# Tokens


async def test_a_created_token_is_stored_as_its_digest_only(filled: Node) -> None:
    _, _, secret = await filled.registry.create_token(document("Token", "new", account="alice"))
    assert len(secret) == 43
    stored = await filled.store.snapshot()
    assert all(secret.encode() not in item.value for item in stored.items.values())
    with pytest.raises(RefusedError, match="there is a token new"):
        await filled.registry.create_token(document("Token", "new", account="alice"))


async def test_an_imported_token_keeps_its_secret_to_itself(filled: Node) -> None:
    _, _, secret = await filled.registry.create_token(token("new", "2"))
    assert secret == ""


async def test_a_store_that_is_gone_fails_every_call(filled: Node) -> None:
    await filled.store.close()
    for call in (
        filled.registry.get(Kind.ZONE, "example.com"),
        put(filled, account("bob")),
        filled.registry.apply([account("bob")]),
    ):
        with pytest.raises(StoreFailedError):
            await call


# A store whose answers are lost


class LossyStore(ForwardingStore):
    """The real store behind a network that loses an answer: of what was done, or of what was not."""

    def __init__(self, real: Store) -> None:
        super().__init__(real)
        self.lose: list[bool] = []  # for each coming commit whose answer is lost: was it done?

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        if not self.lose:
            return await super().commit(updates)
        if self.lose.pop(0):
            await super().commit(updates)
        return [Unknown("the answer was lost")] * len(updates)


@pytest.mark.parametrize("lost", [[True], [False], [False, False], [False, True]])
async def test_a_lost_answer_is_asked_for_until_it_is_known(filled: Node, lost: list[bool]) -> None:
    store = LossyStore(filled.store)
    async with node_on(store) as node:
        store.lose = list(lost)
        assert (await put(node, account("bob"))).result is Result.CREATED
        store.lose = list(lost)
        assert (await node.registry.delete(Kind.ACCOUNT, "bob")).done
        store.lose = list(lost)
        _, revision, _ = await node.registry.create_token(document("Token", "new", account="alice"))
        assert store.lose == []
    assert (await filled.registry.get(Kind.TOKEN, "new")).revision == revision
