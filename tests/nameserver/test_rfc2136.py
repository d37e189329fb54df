"""The adapter on real nameservers: BIND, Knot and PowerDNS."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from ddnsd.nameserver.interface import (
    Absent,
    Exists,
    Hidden,
    NoAnswerError,
    QueryRefusedError,
    Rcode,
    RecordType,
    Replace,
    RRset,
    UnreachableError,
    Update,
)
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from tests.narrow import only
from tests.rigs import RIGS, NameserverRig, Record
from tests.waiting import turn_loop

ZONE = "example.com"
HOST = "blog.example.com"
FENCE = "_ddnsd.example.com"
A, AAAA, TXT = RecordType.A, RecordType.AAAA, RecordType.TXT


@pytest.fixture
async def nameserver(nameserver_rig: NameserverRig) -> AsyncIterator[Rfc2136Nameserver]:
    adapter = Rfc2136Nameserver(nameserver_rig.settings)
    yield adapter
    await adapter.close()


def update(*changes: Any, fence: Any = ()) -> Update:
    return Update(ZONE, tuple(fence), changes)


async def contents(nameserver: Rfc2136Nameserver) -> list[RRset]:
    return [rrset async for part in nameserver.transfer(ZONE) for rrset in part]


async def test_add_replace_and_remove_leave_the_other_family_alone(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    both = update(Replace(HOST, A, 60, ("192.0.2.1",)), Replace(HOST, AAAA, 120, ("2001:db8::1",)))
    assert await nameserver.update(both) is Rcode.NOERROR
    assert await nameserver.update(update(Replace(HOST, A, 30, ("192.0.2.3", "192.0.2.2")))) is Rcode.NOERROR
    assert await nameserver_rig.query(HOST, "A") == ("192.0.2.2", "192.0.2.3")
    assert await nameserver.query(ZONE, HOST, A) == RRset(HOST, A, 30, ("192.0.2.2", "192.0.2.3"))
    assert await nameserver.update(update(Replace(HOST, A, 0, ()))) is Rcode.NOERROR
    assert await nameserver.query(ZONE, HOST, A) is None
    assert await nameserver.query(ZONE, HOST, AAAA) == RRset(HOST, AAAA, 120, ("2001:db8::1",))


async def test_the_fence_lets_only_the_newest_claim_through(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    def claim(number: int) -> str:
        return f"ddnsd1 installation=6f1d2e cluster=embedded epoch=7 claim={number:032x}"

    def take(number: int) -> Replace:
        return Replace(FENCE, TXT, 60, (claim(number),))

    first = update(take(1), fence=[Absent(FENCE, TXT)])
    assert await nameserver.update(first) is Rcode.NOERROR
    assert await nameserver.query(ZONE, FENCE, TXT) == RRset(FENCE, TXT, 60, (claim(1),))
    assert await nameserver.update(first) is Rcode.YXRRSET
    assert await nameserver.update(update(take(2), fence=[Exists(FENCE, TXT, (claim(1),))])) is Rcode.NOERROR
    publish = Replace(HOST, A, 60, ("192.0.2.1",))
    deposed = update(publish, fence=[Exists(FENCE, TXT, (claim(1),))])
    assert await nameserver.update(deposed) is Rcode.NXRRSET
    assert await nameserver_rig.query(HOST, "A") == ()
    leading = update(publish, fence=[Exists(FENCE, TXT, (claim(2),))])
    assert await nameserver.update(leading) is Rcode.NOERROR
    assert await nameserver_rig.query(HOST, "A") == ("192.0.2.1",)


async def test_somebody_elses_text_is_read_and_matched_as_it_is(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    await nameserver_rig.add_foreign(Record(FENCE, 60, "TXT", '"say \\"hi\\"" "\\200 and more"'))
    read = only(RRset, await nameserver.query(ZONE, FENCE, TXT))
    take = Replace(FENCE, TXT, 60, ("mine",))
    assert await nameserver.update(update(take, fence=[Exists(FENCE, TXT, read.values)])) is Rcode.NOERROR
    assert await nameserver_rig.query(FENCE, "TXT") == ('"mine"',)


async def test_an_alias_is_no_address(nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig) -> None:
    target = Record("target.example.com", 60, "A", "192.0.2.9")
    await nameserver_rig.add_foreign(target, Record(HOST, 60, "CNAME", "target.example.com."))
    assert await nameserver.query(ZONE, HOST, A) == Hidden(HOST, "CNAME")
    alias = await nameserver.query(ZONE, HOST, RecordType.CNAME)
    assert alias == RRset(HOST, RecordType.CNAME, 60, ("target.example.com.",))


async def test_a_referral_is_no_address(nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig) -> None:
    below = "child.example.com"
    glue = Record(f"ns.{below}", 60, "A", "192.0.2.9")
    await nameserver_rig.add_foreign(Record(below, 60, "NS", f"ns.{below}."), glue)
    assert await nameserver.query(ZONE, glue.name, A) == Hidden(below, "NS")
    assert await nameserver.query(ZONE, f"nobody.{below}", A) == Hidden(below, "NS")


async def test_the_probe_gets_the_soa(nameserver: Rfc2136Nameserver) -> None:
    soa = only(RRset, await nameserver.query(ZONE, ZONE, RecordType.SOA))
    assert soa.values[0].startswith("ns.example.com. hostmaster.example.com. ")


async def test_a_zone_that_it_does_not_have(nameserver: Rfc2136Nameserver) -> None:
    change = Update("example.net", (), (Replace("a.example.net", A, 60, ("192.0.2.1",)),))
    assert await nameserver.update(change) in {Rcode.NOTAUTH, Rcode.REFUSED}
    with pytest.raises(QueryRefusedError, match="REFUSED"):
        await nameserver.query("example.net", "a.example.net", A)
    with pytest.raises(QueryRefusedError):
        await anext(aiter(nameserver.transfer("example.net")))


@pytest.mark.parametrize("wrong", [{"key_secret": b"x" * 32}, {"key_name": "nobody"}], ids=["secret", "name"])
async def test_a_bad_key_changes_nothing(nameserver_rig: NameserverRig, wrong: dict[str, Any]) -> None:
    intruder = Rfc2136Nameserver(replace(nameserver_rig.settings, **wrong))
    change = update(Replace(HOST, A, 60, ("192.0.2.1",)))
    assert await intruder.update(change) in {Rcode.NOTAUTH, Rcode.REFUSED}
    assert await nameserver_rig.query(HOST, "A") == ()
    with pytest.raises(QueryRefusedError):
        await anext(aiter(intruder.transfer(ZONE)))
    await intruder.close()


async def test_without_a_key_everything_is_refused(nameserver_rig: NameserverRig) -> None:
    nobody = Rfc2136Nameserver(replace(nameserver_rig.settings, key_name=""))
    refused = {Rcode.NOTAUTH, Rcode.REFUSED}
    assert await nobody.update(update(Replace(HOST, A, 60, ("192.0.2.1",)))) in refused
    with pytest.raises(QueryRefusedError):
        await contents(nobody)
    await nobody.close()


async def test_a_transfer_is_complete_and_leaves_other_types_out(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    pairs = [(f"host{number}.example.com", f"10.0.{number >> 8}.{number & 255}") for number in range(1000)]
    for start in range(0, 1000, 200):
        batch = [Replace(name, A, 60, (value,)) for name, value in pairs[start : start + 200]]
        assert await nameserver.update(update(*batch)) is Rcode.NOERROR
    several = Replace("host7.example.com", AAAA, 60, tuple(f"2001:db8::{number}" for number in range(1, 9)))
    await nameserver.update(update(several))
    await nameserver_rig.add_foreign(Record("mail.example.com", 60, "MX", "10 host1.example.com."))
    found = await contents(nameserver)
    addresses = {rrset for rrset in found if rrset.name.startswith("host")}
    assert addresses == {RRset(name, A, 60, (value,)) for name, value in pairs} | {RRset(*several)}
    assert len(addresses) == len(found) - 2  # the SOA, and the address of ns.example.com
    assert {rrset.type for rrset in found} == {RecordType.SOA, A, AAAA}


async def test_many_queries_at_once(nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig) -> None:
    names = [f"host{number}.example.com" for number in range(200)]
    batch = [Replace(name, A, 60, (f"192.0.2.{number}",)) for number, name in enumerate(names)]
    await nameserver.update(update(*batch))
    read = await asyncio.gather(*(nameserver.query(ZONE, name, A) for name in names))
    assert [only(RRset, rrset).values[0] for rrset in read] == [f"192.0.2.{number}" for number in range(200)]


async def test_killed_it_is_unreachable_and_restarted_it_has_kept_everything(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    await nameserver.update(update(Replace(HOST, A, 60, ("192.0.2.1",))))
    nameserver_rig.kill()
    await turn_loop(10)  # the close of the kept connection arrives
    with pytest.raises(UnreachableError):
        await nameserver.update(update(Replace(HOST, A, 60, ("192.0.2.2",))))
    await nameserver_rig.restart()
    assert await nameserver.query(ZONE, HOST, A) == RRset(HOST, A, 60, ("192.0.2.1",))


async def test_over_a_restart_no_update_is_lost_silently(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    for number in range(1, 4):
        value = f"192.0.2.{number}"
        await nameserver_rig.restart()
        # The kept connection is dead, and that is known: the update must arrive.
        assert await nameserver.update(update(Replace(HOST, A, 60, (value,)))) is Rcode.NOERROR
        assert await nameserver_rig.query(HOST, "A") == (value,)


async def test_frozen_it_gives_no_answer_in_time(nameserver_rig: NameserverRig) -> None:
    nameserver = Rfc2136Nameserver(replace(nameserver_rig.settings, timeout=0.3))
    change = update(Replace(HOST, A, 60, ("192.0.2.1",)))
    assert await nameserver.update(change) is Rcode.NOERROR
    nameserver_rig.freeze()
    for _ in range(2):  # on the kept connection, then on a new one: the kernel accepts it
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"0\.3 s"):
            await nameserver.update(change)
        assert time.monotonic() - began < 1
    with pytest.raises(NoAnswerError, match=r"0\.3 s"):
        await contents(nameserver)
    nameserver_rig.thaw()
    assert await nameserver.update(change) is Rcode.NOERROR
    await nameserver.close()


@pytest.mark.parametrize("server", RIGS)
async def test_zones_side_by_side(server: str) -> None:
    zones = [f"zone{number}.test" for number in range(5)]
    async with RIGS[server](zones=zones) as rig:
        nameserver = Rfc2136Nameserver(rig.settings)
        changes = [Update(zone, (), (Replace(f"a.{zone}", A, 60, ("192.0.2.1",)),)) for zone in zones]
        assert await asyncio.gather(*map(nameserver.update, changes)) == [Rcode.NOERROR] * 5
        for zone in zones:
            await nameserver.leave(zone)
        assert await rig.query("a.zone4.test", "A") == ("192.0.2.1",)
        await nameserver.close()
