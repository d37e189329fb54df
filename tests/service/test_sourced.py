"""What the controller of a Kubernetes cluster may do, and what the admin API may do beside it."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ddnsd.model.resources import Kind, Origin, TokenSpec, ZoneSpec
from ddnsd.service.documents import Document, InvalidDocumentError, Reason, read_document
from ddnsd.service.registry import NotMineError, RefusedError, Result, SourcedRegistry, SourceTakenError
from ddnsd.service.registry.sourced import SourcedDelete, SourcedHold, Withdrawn
from ddnsd.store import keys
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import ConditionalWrite, Outcome
from tests.narrow import only, present
from tests.service.kubernetes import (
    ALICE,
    BLOG,
    CLUSTER,
    EVERYTHING,
    HELD,
    HOME,
    OFFICE,
    account_of,
    controller,
    host_of,
    stored,
    token_of,
    zone_of,
)
from tests.service.registry_node import NAMESERVERS, TIMEOUT, Node, account, host, single_node, token, zone


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


@pytest.fixture
async def kube(node: Node) -> AsyncIterator[SourcedRegistry]:
    async with controller(node) as kube:
        await kube.bind()
        yield kube


async def put(node: Node, raw: Any) -> Result:
    return (await node.registry.put(read_document(raw))).result


def reasons(outcomes: Iterable[Any]) -> list[str]:
    return [getattr(outcome, "reason", outcome) for outcome in outcomes]


# Binding


async def test_a_name_is_bound_once(node: Node, kube: SourcedRegistry) -> None:
    await kube.bind()
    source = node.cache.state.sources["prod"].value
    assert (source.uid, source.claimant, source.watched) == ("uid-1", "", None)


async def test_another_cluster_is_told_who_has_the_name_and_its_claim_stands_there_once(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
    async with controller(node, uid="uid-2") as other:
        for _ in range(2):
            with pytest.raises(SourceTakenError, match=r"uid uid-1 .*ddnsd source takeover prod") as caught:
                await other.bind()
            revision = node.cache.state.sources["prod"].revision
        assert caught.value.uid == "uid-1"
        assert node.cache.state.sources["prod"].value.claimant == "uid-2"
        assert node.cache.state.sources["prod"].revision == revision
        with pytest.raises(NotMineError, match="not bound to"):
            await other.change([account_of()])
    assert await stored(node, Kind.ACCOUNT, ALICE) is None


async def test_who_leads_no_more_changes_nothing(node: Node) -> None:
    async with controller(node) as kube:
        await kube.bind()
    with pytest.raises(NotMineError, match="does not lead"):
        await kube.change([account_of()])
    with pytest.raises(NotMineError):
        await kube.report((), None)
    assert await stored(node, Kind.ACCOUNT, ALICE) is None


class DeposingCommits(GroupCommit):
    """Deposes the controller once it has decided, before its commit arrives."""

    def __init__(self, node: Node, key: str) -> None:
        super().__init__(node.store, node.cache, node.metrics)
        self._node = node
        self._key = key

    async def commit(self, update: ConditionalWrite) -> Outcome:
        await self._node.store.commit([ConditionalWrite({}, deletes=frozenset({self._key}))])
        return await super().commit(update)


async def test_who_is_deposed_while_he_commits_changes_nothing(node: Node) -> None:
    """The guard is compared by the commit itself: the state that it was decided on may be older."""
    async with controller(node) as kube:
        await kube.bind()
        (id,) = node.cache.state.controllers
        late = SourcedRegistry(
            node.cache,
            DeposingCommits(node, f"controllers/{id}"),
            source="prod",
            uid="uid-1",
            guard={f"controllers/{id}": node.cache.state.controllers[id].created},
            nameservers=NAMESERVERS,
            timeout=TIMEOUT,
        )
        with pytest.raises(NotMineError, match="does not lead"):
            await late.change([account_of()])
    assert await stored(node, Kind.ACCOUNT, ALICE) is None


# Changes


async def test_what_is_put_is_there_with_its_origin(node: Node, kube: SourcedRegistry) -> None:
    assert await kube.change(EVERYTHING) == [Result.CREATED] * 4
    assert present(await stored(node, Kind.HOST, BLOG)).origin == HOME
    assert present(await stored(node, Kind.TOKEN, "prod:home:router")).spec.account == "prod:home:alice"
    assert await kube.change(EVERYTHING) == [Result.UNCHANGED] * 4
    assert await kube.change([host_of(ttl=30)]) == [Result.CONFIGURED]


async def test_the_order_of_the_changes_does_not_matter(node: Node, kube: SourcedRegistry) -> None:
    assert await kube.change(EVERYTHING[::-1]) == [Result.CREATED] * 4
    gone = [SourcedDelete(*document[:2]) for document in EVERYTHING]
    assert await kube.change(gone) == [Withdrawn.DELETED] * 4
    assert await kube.change(gone) == [Withdrawn.ABSENT] * 4
    assert not node.cache.state.hosts
    assert not node.cache.state.zones


async def test_each_change_is_judged_by_itself(kube: SourcedRegistry) -> None:
    wrong = [
        (host_of(name="a.example.com", owner="bob"), Reason.ACCOUNT_NOT_FOUND),
        (host_of(name="a.example.org"), Reason.ZONE_NOT_FOUND),
        (host_of(name="example.com"), Reason.ZONE_APEX),
        (
            Document(Kind.ZONE, "example.org", ZoneSpec("none"), CLUSTER),
            Reason.UNKNOWN_NAMESERVER,
        ),
        (token_of(name="other"), Reason.SECRET_TAKEN),
    ]
    outcomes = await kube.change(
        [*EVERYTHING, *(change for change, _ in wrong), host_of(name="b.example.com")]
    )
    assert reasons(outcomes) == [*[Result.CREATED] * 4, *(reason for _, reason in wrong), Result.CREATED]


async def test_a_new_nameserver_may_be_referred_to(kube: SourcedRegistry) -> None:
    elsewhere = Document(Kind.ZONE, "example.org", ZoneSpec("third"), CLUSTER)
    assert reasons(await kube.change([elsewhere])) == [Reason.UNKNOWN_NAMESERVER]
    kube.reconfigure(nameservers=[*NAMESERVERS, "third"], timeout=TIMEOUT)
    assert await kube.change([elsewhere]) == [Result.CREATED]


async def test_a_zone_takes_no_hosts_over(kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    assert reasons(await kube.change([zone_of(name=BLOG)])) == [Reason.TAKES_HOSTS_OVER]


async def test_thousands_go_in_full_commits(node: Node, kube: SourcedRegistry) -> None:
    await kube.change([zone_of(), account_of()])
    before = await node.store.revision()
    hosts = [host_of(name=f"h{number}.example.com") for number in range(1000)]
    assert await kube.change(hosts) == [Result.CREATED] * 1000
    assert await node.store.revision() - before < 25
    assert await kube.change(hosts) == [Result.UNCHANGED] * 1000


async def test_a_document_of_another_source_is_a_mistake(kube: SourcedRegistry) -> None:
    with pytest.raises(ValueError, match="is not of source prod"):
        await kube.change([account_of(Origin("other", "home"))])


# Who has a name


async def test_the_first_has_the_name_until_it_is_deleted(node: Node, kube: SourcedRegistry) -> None:
    await kube.change([*EVERYTHING, account_of(OFFICE)])
    (taken,) = await kube.change([host_of(OFFICE)])
    assert (only(RefusedError, taken).reason, str(taken)) == (
        Reason.NAME_TAKEN,
        "host blog.example.com belongs to Kubernetes: source prod, namespace home: "
        "delete it there with kubectl first",
    )
    await node.commit_address(BLOG, "192.0.2.1")
    assert await kube.change([SourcedDelete(Kind.HOST, BLOG), host_of(OFFICE)]) == [
        Withdrawn.DELETED,
        Result.CREATED,
    ]
    assert present(await node.address(BLOG)).is_tombstone


async def test_the_admin_api_changes_nothing_that_kubectl_manages(node: Node, kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    await put(node, account("bob"))
    for refused in (
        put(node, host(BLOG, "bob")),
        put(node, zone("example.com", ttl=30)),
        node.registry.delete(Kind.HOST, BLOG),
        node.registry.delete(Kind.ACCOUNT, ALICE, cascade=True),
        node.registry.delete(Kind.ZONE, "example.com", cascade=True),
    ):
        with pytest.raises(RefusedError, match=r"kubectl, or free it with `ddnsd source release prod`") as e:
            await refused
        assert e.value.reason is Reason.NAME_TAKEN
    with pytest.raises(RefusedError, match=r"^a token of Kubernetes: source prod, namespace home has"):
        await put(node, token("mine", "1", "bob"))


async def test_kubectl_changes_nothing_of_the_admin_api(node: Node, kube: SourcedRegistry) -> None:
    await node.registry.apply(
        [zone("example.com"), account("bob"), host(BLOG, "bob"), token("t", "1", "bob")]
    )
    outcomes = await kube.change([zone_of(), account_of(), host_of(), token_of()])
    assert reasons(outcomes) == [Reason.NAME_TAKEN, Result.CREATED, Reason.NAME_TAKEN, Reason.SECRET_TAKEN]
    assert "belongs to the admin API: delete it with `ddnsd delete host blog.example.com` first" in str(
        outcomes[2]
    )
    assert "another token has the same secret" in str(outcomes[3])
    assert (
        await kube.change([SourcedDelete(Kind.HOST, BLOG), SourcedHold(Kind.ZONE, "example.com")])
        == [Withdrawn.ABSENT] * 2
    )
    assert not present(await stored(node, Kind.ZONE, "example.com")).held


async def test_a_cascade_leaves_what_kubernetes_manages(node: Node, kube: SourcedRegistry) -> None:
    await node.registry.apply([zone("example.com"), account("bob"), host("a.example.com", "bob")])
    await kube.change([account_of(), host_of()])
    with pytest.raises(RefusedError, match="has 1 host that Kubernetes manages") as caught:
        await node.registry.delete(Kind.ZONE, "example.com", cascade=True)
    assert caught.value.count == 1
    assert await stored(node, Kind.HOST, "a.example.com")


async def test_an_account_goes_without_the_tokens_of_others(node: Node, kube: SourcedRegistry) -> None:
    await put(node, account("bob"))
    await kube.change([Document(Kind.TOKEN, "prod:home:t", TokenSpec("bob", "1" * 64), HOME)])
    assert (await node.registry.delete(Kind.ACCOUNT, "bob")).tokens == 0
    assert await stored(node, Kind.TOKEN, "prod:home:t")


async def test_a_secret_passes_to_another_token_at_once(node: Node, kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    gone = SourcedDelete(Kind.TOKEN, "prod:home:router")
    assert await kube.change([token_of(name="new"), gone]) == [Result.CREATED, Withdrawn.DELETED]


async def test_what_was_released_is_whose_who_comes_first(node: Node, kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    await node.commit_address(BLOG, "192.0.2.1")
    await node.commits.commit(ConditionalWrite({}, deletes=frozenset({keys.source("prod")})))
    async with controller(node, "other", "uid-2") as other:
        await other.bind()
        elsewhere = Origin("other", "home")
        outcomes = await other.change([zone_of(Origin("other")), account_of(elsewhere), host_of(elsewhere)])
        assert outcomes == [Result.CONFIGURED, Result.CREATED, Result.CONFIGURED]
        assert await other.change([token_of(elsewhere)]) == [Result.CREATED]
    assert present(await node.address(BLOG)).is_tombstone
    assert await stored(node, Kind.TOKEN, "prod:home:router") is None
    await node.registry.delete(Kind.ACCOUNT, ALICE)


# Held


async def test_what_hosts_depend_on_is_held_and_comes_back(node: Node, kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    gone = [SourcedDelete(Kind.ACCOUNT, ALICE), SourcedDelete(Kind.ZONE, "example.com")]
    assert await kube.change(gone) == [Withdrawn.HELD] * 2
    outcomes = await kube.change([host_of(), host_of(name="new.example.com"), token_of(digit="2")])
    assert reasons(outcomes) == [Reason.ZONE_NOT_FOUND, Reason.ZONE_NOT_FOUND, Reason.ACCOUNT_NOT_FOUND]
    assert await kube.change([zone_of()]) == [Result.CONFIGURED]
    assert reasons(await kube.change([host_of()])) == [Reason.ACCOUNT_NOT_FOUND]
    assert await kube.change([account_of(), host_of()]) == [Result.CONFIGURED, Result.UNCHANGED]
    assert await kube.change([SourcedDelete(Kind.HOST, BLOG), *gone]) == [Withdrawn.DELETED] * 3
    assert not node.cache.state.tokens


async def test_hosts_of_others_hold_a_zone_too(node: Node, kube: SourcedRegistry) -> None:
    await kube.change([zone_of()])
    await node.registry.apply([account("bob"), host(BLOG, "bob")])
    assert await kube.change([SourcedDelete(Kind.ZONE, "example.com")]) == [Withdrawn.HELD]
    with pytest.raises(InvalidDocumentError, match=r"Zone example\.com is held"):
        await put(node, host("new.example.com", "bob"))


async def test_a_host_and_a_token_are_held_with_what_they_have(node: Node, kube: SourcedRegistry) -> None:
    await kube.change(EVERYTHING)
    await kube.change([token_of(digit="2", rotation_overlap=600)])
    names = [(Kind.HOST, BLOG), (Kind.TOKEN, "prod:home:router")]
    assert await kube.change([SourcedHold(*name) for name in names]) == [Withdrawn.HELD] * 2
    for kind, name in [*names, (Kind.TOKEN, "prod:home:router:previous")]:
        assert present(await stored(node, kind, name)).held
    before = await node.store.revision()
    assert await kube.change([SourcedHold(*name) for name in names]) == [Withdrawn.HELD] * 2
    assert await node.store.revision() == before
    await kube.change([host_of(), token_of(digit="2", rotation_overlap=600)])
    for kind, name in [*names, (Kind.TOKEN, "prod:home:router:previous")]:
        assert not present(await stored(node, kind, name)).held


async def test_an_account_goes_with_all_its_tokens_in_several_commits(
    node: Node, kube: SourcedRegistry
) -> None:
    tokens = [
        Document(Kind.TOKEN, f"prod:home:t{number}", TokenSpec(ALICE, f"{number:064x}"), HOME)
        for number in range(250)
    ]
    await kube.change([account_of(), *tokens])
    assert await kube.change([SourcedDelete(Kind.ACCOUNT, ALICE), account_of(name="bob")]) == [
        Withdrawn.DELETED,
        Result.CREATED,
    ]
    assert not node.cache.state.tokens


# Reports


async def test_a_report_is_written_when_it_differs(node: Node, kube: SourcedRegistry) -> None:
    await kube.report(("home",), HELD)
    revision = node.cache.state.sources["prod"].revision
    await kube.report(("home",), HELD)
    source = node.cache.state.sources["prod"]
    assert (source.revision, source.value.watched, source.value.held) == (revision, ("home",), HELD)
    await kube.report((), None)
    await node.cache.current()
    assert node.cache.state.sources["prod"].value.watched == ()


ROUTERS = ("one", "two", "three")


async def digits(node: Node) -> dict[str, str]:
    """Return the secrets of the tokens, by name, each as its digit; former ones too."""
    await node.cache.current()
    tokens = node.cache.state.tokens
    return {name.removeprefix("prod:home:"): tokens[name].value.spec.sha256[0] for name in tokens}


@pytest.mark.parametrize("swapped", ["213", "231", "312", "321"])
@pytest.mark.parametrize("overlap", [0, 600])
async def test_tokens_swap_their_secrets(
    node: Node, kube: SourcedRegistry, swapped: str, overlap: int
) -> None:
    before = [token_of(name=name, digit=digit) for name, digit in zip(ROUTERS, "123", strict=True)]
    await kube.change([zone_of(), account_of(), *before])
    after = [
        token_of(name=name, digit=digit, rotation_overlap=overlap)
        for name, digit in zip(ROUTERS, swapped, strict=True)
    ]
    assert RefusedError not in map(type, await kube.change(after))
    assert await digits(node) == dict(zip(ROUTERS, swapped, strict=True))


async def test_of_tokens_that_swap_all_are_refused_or_none(node: Node, kube: SourcedRegistry) -> None:
    before = [token_of(name=name, digit=digit) for name, digit in zip(ROUTERS, "123", strict=True)]
    await kube.change([zone_of(), account_of(), *before])
    one, two = token_of(name="one", digit="2"), token_of(name="two", digit="1")
    spec = msgspec.structs.replace(two.spec, account="prod:home:nobody")
    two = two._replace(spec=spec)
    third = token_of(name="three", digit="4")
    outcomes = await kube.change([one, two, third])
    assert [type(each) for each in outcomes[:2]] == [InvalidDocumentError] * 2
    assert await digits(node) == {"one": "1", "two": "2", "three": "4"}


async def test_the_admin_api_swaps_secrets_too(node: Node) -> None:
    await node.registry.apply([account("bob"), token("one", "1", "bob"), token("two", "2", "bob")])
    await node.registry.apply([token("one", "2", "bob"), token("two", "1", "bob")])
    assert await digits(node) == {"one": "2", "two": "1"}
