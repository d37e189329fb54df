"""The controller on a real API server: what users do with kubectl, and what comes of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ddnsd.model.request import Refusal, Unchanged, Updated
from ddnsd.model.resources import HostSpec, Kind, Scope
from ddnsd.service.registry import RefusedError
from tests.kube.world import World, until
from tests.service.registry_node import account, host, zone
from tests.waiting import until as until_holds


@pytest.fixture
async def running(world: World) -> AsyncIterator[World]:
    """Zone, account, host and token are accepted, and the host has an address."""
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
        assert isinstance(await world.update("192.0.2.7"), Updated)
        yield world


async def test_an_update_is_shown_by_kubectl(running: World) -> None:
    await running.until_condition("host", running.host(), type="Published")
    status = running.get("host", running.host())["status"]
    assert (status["address"], status["family"], status["published"]) == ("192.0.2.7", "A", "yes")
    assert status["A"]["ip"] == "192.0.2.7"
    (row,) = running.kubectl("get", "hosts", "-n", running.namespace, "--no-headers").splitlines()
    assert row.split()[:3] == [running.host(), "192.0.2.7", "A"]
    assert row.split()[-2:] == ["yes", "Accepted"]
    assert "router" in running.kubectl("get", "ddnsd", "-n", running.namespace)


async def test_ready_is_what_tools_wait_for(running: World) -> None:
    running.apply(
        running.document("Host", running.host("quiet"), account="alice"),
        running.document("Host", running.host("lost"), account="nobody"),
    )
    await running.until_condition("host", running.host(), type="Published")
    for kind, name in (
        ("zone", running.zone),
        ("account", "alice"),
        ("token", "router"),
        ("host", running.host()),
        ("host", running.host("quiet")),
    ):
        await running.until_condition(kind, name, type="Ready")
    await running.until_condition("host", running.host("lost"), "AccountNotFound", type="Ready")


async def test_a_disabled_host_refuses_the_next_update(running: World) -> None:
    running.apply(running.document("Host", running.host(), account="alice", enabled=False))

    async def is_refused() -> bool:
        return await running.update("192.0.2.8") is Refusal.RECORD_DISABLED

    await until_holds(is_refused)


async def test_without_its_account_a_host_stays_published_and_refuses(running: World) -> None:
    running.delete("account", "alice")
    await running.until_condition("host", running.host(), "AccountNotFound")
    await running.until_condition("token", "router", "AccountNotFound")
    assert await running.update("192.0.2.8") is Refusal.UNKNOWN_TOKEN
    assert running.get("host", running.host())["status"]["address"] == "192.0.2.7"
    running.apply(running.document("Account", "alice"))
    await running.until_condition("token", "router")
    assert isinstance(await running.update("192.0.2.7"), Unchanged)


async def test_without_its_zone_a_host_stays_published_and_refuses(running: World) -> None:
    running.delete("zone", running.zone)
    await running.until_condition("host", running.host(), "ZoneNotFound")
    assert await running.update("192.0.2.8") is Refusal.ZONE_DISABLED
    running.apply(running.the_zone())
    await running.until_condition("host", running.host())
    assert isinstance(await running.update("192.0.2.7"), Unchanged)


async def test_what_held_a_zone_is_gone(running: World) -> None:
    """A zone and an account that only waited for their last host go with it."""
    running.delete("zone", running.zone)
    running.delete("account", "alice")
    await running.until_condition("host", running.host(), "ZoneNotFound")
    running.delete("host", running.host())
    await until(lambda: running.zone in running.node.state.zones, False, "the zone is there")
    await until(lambda: running.account() in running.node.state.accounts, False, "the account is there")


async def test_a_deleted_host_leaves_the_nameserver(running: World) -> None:
    running.delete("host", running.host())
    await until(lambda: len(running.node.state.published), 0, "published")


async def test_a_zone_names_its_namespaces(world: World) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("host", world.host())
        world.apply(world.the_zone(namespaces=["another"]))
        await world.until_condition("host", world.host(), "NamespaceNotAllowed")
        assert await world.update("192.0.2.7") is Refusal.RECORD_DISABLED
        world.apply(world.the_zone(namespaces=["*"]))
        await world.until_condition("host", world.host())
        world.apply(world.document("Zone", world.zone))  # nobody
        await world.until_condition("host", world.host(), "NamespaceNotAllowed")


async def test_an_account_is_of_its_namespace(running: World) -> None:
    other = running.other_namespace()
    running.apply(
        running.the_zone(namespaces=["*"]),
        running.document("Host", running.host("b"), other, account="alice"),
        running.document("Token", "thief", other, account="alice", hosts=[running.host()]),
    )
    await running.until_condition("host", running.host("b"), "AccountNotFound", namespace=other)
    await running.until_condition("token", "thief", "AccountNotFound", namespace=other)


async def test_the_first_has_the_name_until_it_is_deleted(running: World) -> None:
    other = running.other_namespace()
    running.apply(
        running.the_zone(namespaces=["*"]),
        running.document("Account", "bob", other),
        running.document("Host", running.host(), other, account="bob"),
    )
    await running.until_condition("host", running.host(), "NameTaken", namespace=other)
    conditions = running.get("host", running.host(), other)["status"]["conditions"]
    assert running.namespace in conditions[0]["message"]
    assert running.get("host", running.host(), other)["status"]["address"] == ""
    running.delete("host", running.host())
    await running.until_condition("host", running.host(), namespace=other)
    await until(lambda: len(running.node.state.published), 0, "alice's address is published")


async def test_the_admin_api_and_kubectl_leave_each_other_alone(running: World) -> None:
    with pytest.raises(RefusedError, match="kubectl"):
        await running.node.delete(Kind.HOST, running.host())
    await running.node.apply(
        account("carol"), zone(f"x.{running.zone}"), host(f"a.x.{running.zone}", "carol")
    )
    running.apply(
        running.document("Zone", f"x.{running.zone}", namespaces=["*"]),
        running.document("Host", f"a.x.{running.zone}", account="alice"),
        running.document("Host", f"b.x.{running.zone}", account="alice"),
    )
    await running.until_condition("zone", f"x.{running.zone}", "NameTaken")
    await running.until_condition("host", f"b.x.{running.zone}", "NamespaceNotAllowed")


async def test_what_cannot_be_says_why(running: World) -> None:
    running.apply(
        running.document("Host", "nowhere.example", account="alice"),
        running.document("Zone", f"y.{running.zone}", nameserver="nobody"),
        running.document("Host", running.zone, account="alice"),
    )
    await running.until_condition("host", "nowhere.example", "ZoneNotFound")
    await running.until_condition("zone", f"y.{running.zone}", "UnknownNameserver")
    await running.until_condition("host", running.zone, "ZoneApex")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kind": "Host", "account": "a", "families": []}, "families"),
        ({"kind": "Host", "account": "a", "families": ["MX"]}, "Unsupported value"),
        ({"kind": "Host", "account": "a", "typo": 1}, "unknown field"),
        ({"kind": "Host", "account": "a", "ttl": 0}, "ttl"),
        ({"kind": "Host", "account": "a", "ipv6Suffix": "2001:db8::5"}, "the last 64 bits"),
        ({"kind": "Host", "account": "a", "ipv6Suffix": "::"}, "the last 64 bits"),
        ({"kind": "Host", "account": "a", "ipv6Suffix": "::1", "families": ["A"]}, "with AAAA in families"),
        ({"kind": "Host", "account": "a", "ipv6Suffix": "::1", "ipv6Subnet": "1g"}, "it is hexadecimal"),
        ({"kind": "Host", "account": "a", "ipv6Suffix": "::1", "ipv6Subnet": 10}, "must be of type string"),
        ({"kind": "Host", "account": "a", "ipv6Subnet": "1f"}, "only for a host with ipv6Suffix"),
        ({"kind": "Host", "account": "a", "expiresAfter": 59}, "expiresAfter"),
        ({"kind": "Host", "account": "a", "wildcard": "yes"}, "wildcard"),
        ({"kind": "Token", "account": "a", "scopes": ["adress"]}, "Unsupported value"),
        ({"kind": "Token", "account": "a", "scopes": []}, "scopes"),
        ({"kind": "Account", "suspendedUntil": "2027-01-01T00:00:00Z"}, "only for status: suspended"),
        ({"kind": "Token", "account": "a", "sha256": "f" * 64, "secretRef": {"name": "s"}}, "or neither"),
        ({"kind": "Token", "account": "a", "sha256": "secret"}, "sha256"),
    ],
    ids=str,
)
def test_the_api_server_refuses(world: World, document: dict[str, Any], message: str) -> None:
    document = dict(document)
    kind = document.pop("kind")
    made = world.document(kind, world.host() if kind == "Host" else "x", **document)
    done = world.kubectl.apply_unchecked(made)
    assert done.returncode != 0
    assert message in done.stderr


def test_the_api_server_refuses_a_wildcard_without_room(world: World) -> None:
    name = ".".join(["a" * 62] * 3 + ["b" * 63])  # of 252 characters
    done = world.kubectl.apply_unchecked(world.document("Host", name, account="a", wildcard=True))
    assert "a host with wildcard leaves room for *. before it" in done.stderr
    world.apply(world.document("Host", name, account="a"))


async def test_what_a_host_and_a_token_say_is_stored_in_its_one_spelling(running: World) -> None:
    running.apply(
        running.document(
            "Host",
            running.host(),
            account="alice",
            wildcard=True,
            ipv6Suffix="0:0:0:0:1:2:3:0DEF",
            ipv6Subnet="0A",
            expiresAfter=600,
        ),
        running.document("Token", "router", account="alice", scopes=["txt", "address"]),
    )
    expected = HostSpec(
        running.account(), wildcard=True, ipv6_suffix="::1:2:3:def", ipv6_subnet="a", expires_after=600
    )
    await until(lambda: running.node.state.hosts[running.host()].value.spec, expected, "the host")
    name = running.account("router")  # tokens are qualified as accounts are
    both = (Scope.ADDRESS, Scope.TXT)
    await until(lambda: running.node.state.tokens[name].value.spec.scopes, both, "the token's scopes")


async def test_a_token_stays_its_accounts(running: World) -> None:
    done = running.kubectl.apply_unchecked(running.document("Token", "router", account="bob"))
    assert "make another token" in done.stderr
