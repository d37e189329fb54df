"""The whole way of an update, to each of BIND, Knot and PowerDNS."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ddnsd.nameserver.interface import Exists, Rcode, RecordType, Replace, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from tests.rigs.base import NameserverRig
from tests.rigs.client import Record
from tests.rigs.documents import document
from tests.system.installation import Installation, example
from tests.system.load import NOT_PUBLISHED, UNCHANGED, UPDATED
from tests.waiting import until

ZONE = "example.com"
BLOG = "blog.example.com"
MANY = [f"h{number}.example.com" for number in range(100)]


@pytest_asyncio.fixture
async def ddnsd(tmp_path: Path, nameserver_rig: NameserverRig) -> AsyncIterator[Installation]:
    async with Installation(tmp_path, nameserver_rig) as installation:
        await installation.apply(*example([BLOG, *MANY]))
        yield installation


async def serial(rig: NameserverRig) -> str:
    return (await rig.query(ZONE, "SOA"))[0].split()[2]


async def test_first_update_change_and_unchanged(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    first = await ddnsd.update(BLOG, "192.0.2.1")
    assert (first.message, first.json["data"]["old_ip"]) == (UPDATED, "")
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.1",)
    change = await ddnsd.update(BLOG, "192.0.2.2")
    assert (change.message, change.json["data"]["old_ip"]) == (UPDATED, "192.0.2.1")
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.2",)
    before = await serial(nameserver_rig)
    assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UNCHANGED
    assert await serial(nameserver_rig) == before, "an unchanged address is no DNS traffic"


async def test_families_are_apart(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    await ddnsd.update(BLOG, "192.0.2.1")
    six = await ddnsd.update(BLOG, "2001:db8:0::1")
    assert six.json["data"] == {
        "domain": BLOG,
        "ip": "2001:db8::1",
        "record_type": "AAAA",
        "old_ip": "",
        "updated": True,
    }
    await ddnsd.update(BLOG, "192.0.2.9")
    assert await nameserver_rig.query(BLOG, "AAAA") == ("2001:db8::1",)
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.9",)


async def test_deleted_host_leaves(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    await nameserver_rig.add_foreign(Record(BLOG, 60, "TXT", '"not ours"'))
    await ddnsd.update(BLOG, "192.0.2.1")
    await ddnsd.update(BLOG, "2001:db8::1")
    assert (await ddnsd.admin("DELETE", f"hosts/{BLOG}")).status == 200

    async def gone() -> bool:
        return not await nameserver_rig.query(BLOG, "A") and not await nameserver_rig.query(BLOG, "AAAA")

    await until(gone, 5, "the deleted host's records left the nameserver")
    assert await nameserver_rig.query(BLOG, "TXT") == ('"not ours"',)
    await ddnsd.apply(document("Host", BLOG, account="alice"))
    again = await ddnsd.update(BLOG, "192.0.2.1")
    assert (again.message, again.json["data"]["old_ip"]) == (UPDATED, "")


async def test_one_bad_record_delays_no_other(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    bad = MANY[37]
    assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
    await nameserver_rig.add_foreign(Record(bad, 60, "CNAME", "elsewhere.example.net."))
    nameserver_rig.freeze()
    asking = [asyncio.create_task(ddnsd.update(host, "192.0.2.7")) for host in MANY]
    await until(lambda: ddnsd.has_committed("192.0.2.7", *MANY), what="all wait for the nameserver")
    nameserver_rig.thaw()
    replies = dict(zip(MANY, await asyncio.gather(*asking), strict=True))
    assert {host: reply.message for host, reply in replies.items() if reply.message != UPDATED} == {
        bad: NOT_PUBLISHED
    }
    assert await nameserver_rig.query(bad, "CNAME") == ("elsewhere.example.net.",)
    assert await nameserver_rig.query(MANY[38], "A") == ("192.0.2.7",)
    shown = (await ddnsd.admin("GET", f"hosts/{bad}")).json["status"]["A"]
    assert shown["error"]
    assert shown["ip"] == "192.0.2.7"
    assert (await ddnsd.admin("GET", "status")).json["zones"][0]["refused"] == 1
    check = await ddnsd.admin("POST", f"zones/{ZONE}/check")
    assert check.json["findings"] == [f"{bad} A: {shown['error']}"], check.body

    await nameserver_rig.remove_foreign(bad, "CNAME")
    await ddnsd.apply(document("Host", bad, account="alice", ttl=61))
    assert (await ddnsd.update(bad, "192.0.2.7")).message == UPDATED, "a change of the host: a new attempt"


async def test_old_claim_is_refused(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    await ddnsd.update(BLOG, "192.0.2.1")
    fence = (await nameserver_rig.query(f"_ddnsd.{ZONE}", "TXT"))[0].strip('"')
    await ddnsd.kill()
    await ddnsd.start()
    assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
    deposed = Rfc2136Nameserver(nameserver_rig.settings)
    try:
        prerequisite = Exists(f"_ddnsd.{ZONE}", RecordType.TXT, (fence,))
        change = Replace(BLOG, RecordType.A, 60, ("192.0.2.1",))
        assert await deposed.update(Update(ZONE, (prerequisite,), (change,))) is Rcode.NXRRSET
    finally:
        await deposed.close()
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.2",)


async def test_drift_is_found_and_repaired(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    foreign = Record("www.example.com", 300, "A", "203.0.113.5")
    await nameserver_rig.add_foreign(foreign)
    for host in (BLOG, *MANY[:3]):
        await ddnsd.update(host, "192.0.2.1")
    await nameserver_rig.remove_foreign(BLOG, "A")
    await nameserver_rig.add_foreign(Record(MANY[0], 60, "A", "198.51.100.66"))

    check = await ddnsd.admin("POST", f"zones/{ZONE}/check")
    assert sorted(line.split(" ")[0] for line in check.json["findings"]) == [BLOG, MANY[0]], check.body
    assert await nameserver_rig.query(BLOG, "A") == (), "a check repairs nothing"

    await ddnsd.admin("POST", f"zones/{ZONE}/repair")

    async def repaired() -> bool:
        return [await nameserver_rig.query(host, "A") for host in (BLOG, MANY[0])] == [("192.0.2.1",)] * 2

    await until(repaired, 5, "the drift is repaired")
    assert foreign in await nameserver_rig.zone_records(ZONE)
    assert (await ddnsd.admin("POST", f"zones/{ZONE}/check")).json["findings"] == []


async def test_what_a_host_had_before_stays_until_its_first_update(
    ddnsd: Installation, nameserver_rig: NameserverRig
) -> None:
    """Else every name would stop resolving when a zone comes to ddnsd. That update needs consent."""
    await nameserver_rig.add_foreign(Record(BLOG, 60, "A", "198.51.100.66"))
    check = await ddnsd.admin("POST", f"zones/{ZONE}/check")
    (finding,) = check.json["findings"]
    assert finding.startswith(
        f"{BLOG} A: no address is committed; 198.51.100.66 stays, and that update is refused"
    )
    assert f"NameInUse: {BLOG} A stands in the zone and is not ddnsd's" in finding
    assert (await ddnsd.update(BLOG, "192.0.2.1")).message == "更新 DNS 服务器失败"
    takeover = await ddnsd.admin("POST", f"zones/{ZONE}/takeover")
    assert f"{BLOG} A: 198.51.100.66 is ddnsd's now" in takeover.json["findings"]
    await ddnsd.admin("POST", f"zones/{ZONE}/repair")
    assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.2",)
    assert (await ddnsd.admin("POST", f"zones/{ZONE}/check")).json["findings"] == []


async def test_drift_is_repaired_at_start(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    await ddnsd.update(BLOG, "192.0.2.1")
    assert await ddnsd.terminate() == 0
    await nameserver_rig.remove_foreign(BLOG, "A")
    await ddnsd.start()

    async def repaired() -> bool:
        return await nameserver_rig.query(BLOG, "A") == ("192.0.2.1",)

    await until(repaired, 5, "the drift is repaired")


async def test_lost_fence_distrusts_the_zone(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    """Without its fence, the zone may hold anything: nobody is told "unchanged" before it is compared."""
    await ddnsd.update(BLOG, "192.0.2.1")
    assert await ddnsd.terminate() == 0
    await nameserver_rig.remove_foreign(f"_ddnsd.{ZONE}", "TXT")
    await nameserver_rig.remove_foreign(BLOG, "A")
    await ddnsd.start()

    async def claimed_again() -> bool:
        return len(ddnsd.events("fence.claimed")) == 2

    await until(claimed_again, 5, "the zone is claimed again")
    reply = await ddnsd.update(BLOG, "192.0.2.1")
    assert reply.json["success"]
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.1",)


async def test_ttl_change_is_published(ddnsd: Installation, nameserver_rig: NameserverRig) -> None:
    await ddnsd.update(BLOG, "192.0.2.1")
    await ddnsd.apply(document("Host", BLOG, account="alice", ttl=33))

    async def changed() -> bool:
        return Record(BLOG, 33, "A", "192.0.2.1") in await nameserver_rig.zone_records(ZONE)

    await until(changed, 5, "the new TTL is published")


@pytest.mark.parametrize("holder", ["ddnsd1 installation=other cluster=other epoch=1 claim=x", "scribble"])
async def test_foreign_fence_pauses_the_zone(
    ddnsd: Installation, nameserver_rig: NameserverRig, holder: str
) -> None:
    await ddnsd.update(BLOG, "192.0.2.1")
    await nameserver_rig.remove_foreign(f"_ddnsd.{ZONE}", "TXT")
    await nameserver_rig.add_foreign(Record(f"_ddnsd.{ZONE}", 60, "TXT", f'"{holder}"'))
    asking = asyncio.create_task(ddnsd.update(BLOG, "192.0.2.2"))

    async def shown() -> bool:
        found: bool = (await ddnsd.admin("GET", "status")).json["zones"][0]["fenceHeldBy"] == holder
        return found

    await until(shown, 5, "status shows who holds the fence")
    for work in ("check", "repair"):
        refused = await ddnsd.admin("POST", f"zones/{ZONE}/{work}")
        assert holder in refused.json["error"]
        assert f"ddnsd zone takeover {ZONE}" in refused.json["error"]
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.1",)
    assert (await ddnsd.admin("POST", f"zones/{ZONE}/takeover")).status == 200
    assert (await asking).message == UPDATED
    assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.2",)
