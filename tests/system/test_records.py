"""Everything that a client can ask for, in one call of the update API, to each of BIND, Knot and PowerDNS."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.rigs.base import NameserverRig
from tests.rigs.client import Record
from tests.rigs.documents import document
from tests.system.http import Reply
from tests.system.installation import UPDATE, Installation, example
from tests.system.load import UNCHANGED, UPDATED

BLOG, NAS, PLAIN = "blog.example.com", "nas.example.com", "plain.example.com"
VALUES = ["one".ljust(43, "_"), "two".ljust(43, "_"), "three".ljust(43, "_")]


@pytest_asyncio.fixture
async def ddnsd(tmp_path: Path, nameserver_rig: NameserverRig) -> AsyncIterator[Installation]:
    async with Installation(tmp_path, nameserver_rig) as installation:
        await installation.apply(
            *example([PLAIN]),
            document("Host", BLOG, account="alice", wildcard=True),
            document("Host", NAS, account="alice", ipv6Suffix="::1:2:3:4", ipv6Subnet="2"),
        )
        yield installation


async def call(ddnsd: Installation, method: str = "GET", **parameters: str) -> Reply:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    headers = {"Authorization": f"Bearer {ddnsd.secret}"}
    return await ddnsd.public.send(method, f"{UPDATE}?{query}", headers)


def record(type: str, ip: str, old_ip: str = "", *, updated: bool = True) -> Mapping[str, Any]:
    return {"record_type": type, "ip": ip, "old_ip": old_ip, "updated": updated}


async def test_both_families_in_one_call(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    reply = await call(ddnsd, domain=PLAIN, ip="192.0.2.1", ipv6="2001:db8::1")
    assert reply.message == UPDATED
    assert reply.json["data"]["records"] == [record("A", "192.0.2.1"), record("AAAA", "2001:db8::1")]
    assert await nameserver_rig.query(PLAIN, "A") == ("192.0.2.1",)
    assert await nameserver_rig.query(PLAIN, "AAAA") == ("2001:db8::1",)
    again = await call(ddnsd, domain=PLAIN, ip="192.0.2.1", ipv6="2001:db8::1")
    assert again.message == UNCHANGED
    only_six = await call(ddnsd, domain=PLAIN, ipv6="2001:db8::2")
    assert only_six.json["data"] == {
        "domain": PLAIN,
        "ip": "2001:db8::2",
        "record_type": "AAAA",
        "old_ip": "2001:db8::1",
        "updated": True,
    }
    assert await nameserver_rig.query(PLAIN, "A") == ("192.0.2.1",), "the caller's own address is no address"


async def test_a_withdrawn_address_is_gone_and_the_other_one_stays(
    ddnsd: Installation, nameserver_rig: NameserverRig
) -> None:
    await nameserver_rig.add_foreign(Record(PLAIN, 60, "TXT", '"not ours"'))
    await call(ddnsd, domain=PLAIN, ip="192.0.2.1", ipv6="2001:db8::1")
    reply = await call(ddnsd, "DELETE", domain=PLAIN, record_type="A")
    assert (reply.message, reply.json["data"]["old_ip"]) == (UPDATED, "192.0.2.1")
    assert await nameserver_rig.query(PLAIN, "A") == ()
    assert await nameserver_rig.query(PLAIN, "AAAA") == ("2001:db8::1",)
    assert (await call(ddnsd, domain=PLAIN, clear="true")).message == UPDATED
    assert await nameserver_rig.query(PLAIN, "AAAA") == ()
    assert (await call(ddnsd, domain=PLAIN, clear="true")).message == UNCHANGED
    assert await nameserver_rig.query(PLAIN, "TXT") != ()
    back = await call(ddnsd, domain=PLAIN, ip="192.0.2.2")
    assert (back.message, back.json["data"]["old_ip"]) == (UPDATED, "")


async def test_a_wildcard_is_served_for_every_name_below(
    ddnsd: Installation, nameserver_rig: NameserverRig
) -> None:
    await call(ddnsd, domain=BLOG, ip="192.0.2.1")
    for name in (BLOG, f"any.{BLOG}", f"a.b.{BLOG}"):
        assert await nameserver_rig.query(name, "A") == ("192.0.2.1",), name
    assert await nameserver_rig.query(f"any.{PLAIN}", "A") == ()
    await call(ddnsd, domain=BLOG, ip="192.0.2.2")
    assert await nameserver_rig.query(f"any.{BLOG}", "A") == ("192.0.2.2",)
    await call(ddnsd, "DELETE", domain=BLOG)
    assert await nameserver_rig.query(f"any.{BLOG}", "A") == ()
    assert await nameserver_rig.query(f"*.{BLOG}", "A") == ()


async def test_a_prefix_moves_who_follows_and_nobody_else(
    ddnsd: Installation, nameserver_rig: NameserverRig
) -> None:
    await call(ddnsd, domain=PLAIN, ip="192.0.2.1", ipv6="2001:db8::1")
    await call(ddnsd, domain=NAS, ip="192.0.2.2")
    reply = await call(ddnsd, domain=PLAIN, ip6lanprefix="2001:db8:1:200::/56")
    assert reply.message == UPDATED
    assert reply.json["data"]["prefix"] == {"prefix": "2001:db8:1:200::/56", "hosts": 1, "moved": 1}
    assert await nameserver_rig.query(NAS, "AAAA") == ("2001:db8:1:202:1:2:3:4",)
    assert await nameserver_rig.query(NAS, "A") == ("192.0.2.2",)
    assert await nameserver_rig.query(PLAIN, "AAAA") == ("2001:db8::1",)
    assert (await call(ddnsd, domain=PLAIN, ip6lanprefix="2001:db8:1:200::/56")).message == UNCHANGED
    both = await call(ddnsd, domain=NAS, ipv6="2001:db8:1:300::ffff", ip6lanprefix="2001:db8:1:300::/56")
    assert both.json["data"]["records"] == [
        record("AAAA", "2001:db8:1:302:1:2:3:4", "2001:db8:1:202:1:2:3:4")
    ]
    assert await nameserver_rig.query(NAS, "AAAA") == ("2001:db8:1:302:1:2:3:4",)


async def test_a_certificates_challenges_are_served_beside_each_other(
    ddnsd: Installation, nameserver_rig: NameserverRig
) -> None:
    made = await ddnsd.admin(
        "POST",
        "tokens",
        document("Token", "certificates", account="alice", hosts=[BLOG], scopes=["txt"]),
    )
    secret = made.json["secret"]
    headers = {"X-Api-User": "certificates", "X-Api-Key": secret}
    for value in VALUES:
        body = json.dumps({"subdomain": BLOG, "txt": value}).encode()
        reply = await ddnsd.public.send("POST", "/update", headers, body)
        assert (reply.status, reply.json) == (200, {"txt": value})
    served = await nameserver_rig.query(f"_acme-challenge.{BLOG}", "TXT")
    assert {text.strip('"') for text in served} == set(VALUES[1:])
    assert (await ddnsd.update(BLOG, "192.0.2.1", token=secret)).status == 404, "it is for challenges alone"


async def test_who_changed_what(ddnsd: Installation) -> None:
    await call(ddnsd, domain=PLAIN, ip="192.0.2.1", ipv6="2001:db8::1")
    await call(ddnsd, domain=PLAIN, ip="192.0.2.1")
    await call(ddnsd, "DELETE", domain=PLAIN, record_type="A")
    await call(ddnsd, domain="nobodys.example.com", ip="192.0.2.1")
    *items, made = (await ddnsd.admin("GET", f"history?of={PLAIN}")).json["items"]
    assert (made["type"], made["change"], made["api"], made["by"]) == ("Host", "created", "apply", "admin")
    told = {(item["type"], item["old"], item["new"]) for item in items}
    assert told == {("A", "", "192.0.2.1"), ("AAAA", "", "2001:db8::1"), ("A", "192.0.2.1", "")}
    assert {(item["token"], item["api"], item["source"]) for item in items} == {
        ("alice-router", "update", "127.0.0.1")
    }
    (refused,) = (await ddnsd.admin("GET", "history?refused=true")).json["items"]
    assert (refused["name"], refused["result"]) == ("nobodys.example.com", "not_found")
