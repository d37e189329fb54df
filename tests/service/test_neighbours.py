"""Names that are not for everybody, judged when a host is made or passes to another account (decision 34)."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.resources import RESERVED, Kind, ZoneSpec
from ddnsd.service.documents import Document, Reason, read_document
from ddnsd.service.registry import RefusedError, Result
from ddnsd.service.registry.sourced import SourcedDelete, SourcedRegistry
from tests.narrow import only
from tests.service.archives import exported, read
from tests.service.kubernetes import CLUSTER, OFFICE, account_of, controller, host_of, zone_of
from tests.service.registry_node import Node, account, host, single_node, zone

BASE = [zone_of(), account_of(), account_of(OFFICE)]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


@pytest.fixture
async def kube(node: Node) -> AsyncIterator[SourcedRegistry]:
    async with controller(node) as kube:
        await kube.bind()
        await kube.change(BASE)
        yield kube


def reasons(outcomes: Iterable[Any]) -> list[str]:
    return [getattr(outcome, "reason", outcome) for outcome in outcomes]


async def test_hosts_above_or_below_another_namespaces_are_refused(kube: SourcedRegistry) -> None:
    home, below = "home.example.com", "login.home.example.com"
    (made, refused) = await kube.change([host_of(name=home), host_of(OFFICE, below)])
    assert (made, only(RefusedError, refused).reason) == (Result.CREATED, Reason.NAME_NESTED)
    message = (
        f"{below}: it lies below {home}, a host of another account; choose another name, or write nested"
    )
    assert str(refused).startswith(message)
    assert reasons(await kube.change([host_of(name=below)])) == [Result.CREATED], "one's own"
    deep = await kube.change([host_of(name="a.b.office.example.com"), host_of(OFFICE, "office.example.com")])
    assert reasons(deep) == [Result.CREATED, Reason.NAME_NESTED]
    assert "a.b" not in str(deep[1]), "what others have is told to nobody"


async def test_what_is_stored_is_not_judged_again(node: Node, kube: SourcedRegistry) -> None:
    """Neither where it is applied again or changed, nor what a zone of before let in."""
    await kube.change([Document(Kind.ZONE, "example.com", ZoneSpec(nested=True, reserved=()), CLUSTER)])
    hosts = [
        host_of(name="home.example.com"),
        host_of(OFFICE, "x.home.example.com"),
        host_of(name="ns1.example.com"),
    ]
    assert reasons(await kube.change(hosts)) == [Result.CREATED] * 3
    await kube.change([zone_of()])
    assert reasons(await kube.change(hosts)) == [Result.UNCHANGED] * 3
    changed = [host_of(OFFICE, "x.home.example.com", ttl=30), host_of(name="ns1.example.com", ttl=30)]
    assert reasons(await kube.change(changed)) == [Result.CONFIGURED] * 2
    await kube.change([SourcedDelete(Kind.HOST, "x.home.example.com")])
    again = await kube.change([host_of(OFFICE, "x.home.example.com")])
    assert reasons(again) == [Reason.NAME_NESTED], "it is made"


@pytest.mark.parametrize("label", RESERVED)
async def test_reserved_labels_are_refused(kube: SourcedRegistry, label: str) -> None:
    (refused,) = await kube.change([host_of(name=f"{label}.example.com")])
    assert only(RefusedError, refused).reason == Reason.NAME_RESERVED
    assert f"{label} is a reserved label" in str(refused)


async def test_a_zone_has_reserved_labels_of_its_own(kube: SourcedRegistry) -> None:
    await kube.change([Document(Kind.ZONE, "example.com", ZoneSpec(reserved=("www",)), CLUSTER)])
    hosts = [
        host_of(name="wpad.example.com"),
        host_of(name="www.example.com"),
        host_of(name="x.www.example.com"),
    ]
    assert reasons(await kube.change(hosts)) == [Result.CREATED, Reason.NAME_RESERVED, Result.CREATED]


async def test_the_admin_api_is_warned(node: Node) -> None:
    await node.registry.apply([zone("example.com"), account("alice"), account("bob")])
    documents = [host("home.example.com"), host("x.home.example.com", owner="bob"), host("wpad.example.com")]
    applied = await node.registry.apply(documents)
    warnings = [result.warning for result in applied.results]
    assert warnings[0] == ""
    assert warnings[1].startswith("it lies below home.example.com, a host of another account")
    assert warnings[2].startswith("wpad is a reserved label")
    again = await node.registry.apply(documents)
    assert not any(result.warning for result in again.results)
    put = await node.registry.put(read_document(host("home.example.com", owner="bob")))
    assert (put.result, put.warning) == (Result.CONFIGURED, "")
    put = await node.registry.put(read_document(host("x.home.example.com", owner="alice")))
    assert "below home.example.com" in put.warning, "it passes to another account"


async def test_an_import_is_not_judged(node: Node, kube: SourcedRegistry, tmp_path: Path) -> None:
    await kube.change([Document(Kind.ZONE, "example.com", ZoneSpec(nested=True, reserved=()), CLUSTER)])
    await kube.change([host_of(name="home.example.com"), host_of(OFFICE, "ns1.home.example.com")])
    await kube.change([zone_of()])
    archive = await read(await exported(node))
    async with single_node(tmp_path / "other") as other:
        restored = await other.registry.restore(archive)
    assert restored.created.hosts == 2
