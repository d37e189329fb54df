"""Wildcards and the TXT records of ACME challenges, on BIND, Knot and PowerDNS."""

import string
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from ddnsd.nameserver.interface import Absent, Exists, Hidden, Rcode, RecordType, Replace, RRset, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from tests.rigs import BindRig, KnotRig, NameserverRig, PowerDnsRig, Record

ZONE = "example.com"
HOST = "blog.example.com"
WILDCARD = f"*.{HOST}"
CHALLENGE = f"_acme-challenge.{HOST}"
A, AAAA, TXT = RecordType.A, RecordType.AAAA, RecordType.TXT
OLD, NEW = ("192.0.2.1",), ("192.0.2.2",)
TOKENS = ("LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "-UKnzjWr_9lEDoYH8-A5v9xkX7VdVSuGB0xTfPJyxQg")
LONGEST = (("!#$%&'()*+,-./:;<=>?@[]^_`{|}~" + string.ascii_letters + string.digits) * 3)[:255]


@pytest.fixture
async def nameserver(nameserver_rig: NameserverRig) -> AsyncIterator[Rfc2136Nameserver]:
    adapter = Rfc2136Nameserver(nameserver_rig.settings)
    yield adapter
    await adapter.close()


@pytest.fixture
def put(nameserver: Rfc2136Nameserver) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Send one UPDATE of these RRsets, which has to be taken."""

    async def put(*changes: Any) -> None:
        assert await nameserver.update(Update(ZONE, (), changes)) is Rcode.NOERROR

    return put


@pytest.fixture
def held(nameserver: Rfc2136Nameserver) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Return what the zone holds, by name and type, beside its apex and its name server."""

    async def held() -> dict[Any, Any]:
        rrsets = [rrset async for part in nameserver.transfer(ZONE) for rrset in part]
        return {each[:2]: each.values for each in rrsets if each.name not in (ZONE, f"ns.{ZONE}")}

    return held


def both(values: tuple[str, ...], type: RecordType = A) -> tuple[Replace, ...]:
    """Return the changes of a host and its wildcard."""
    return tuple(Replace(name, type, 60, values) for name in (HOST, WILDCARD))


async def test_a_host_and_its_wildcard_come_and_go_together(
    nameserver: Rfc2136Nameserver,
    nameserver_rig: NameserverRig,
    put: Callable[..., Coroutine[Any, Any, Any]],
    held: Callable[..., Coroutine[Any, Any, Any]],
) -> None:
    names = [HOST, WILDCARD, f"www.{HOST}", f"deep.below.{HOST}", f"WWW.{HOST}"]
    for values in (OLD, NEW, (), OLD):
        await put(*both(values))
        assert [await nameserver_rig.query(name, "A") for name in names] == [values] * 5
        assert [await nameserver.query(ZONE, name, A) for name in (HOST, WILDCARD)] == [
            RRset(name, A, 60, values) if values else None for name in (HOST, WILDCARD)
        ]
        assert await held() == ({(HOST, A): values, (WILDCARD, A): values} if values else {})


async def test_one_family_of_a_wildcard_leaves_the_other_alone(
    nameserver_rig: NameserverRig,
    put: Callable[..., Coroutine[Any, Any, Any]],
    held: Callable[..., Coroutine[Any, Any, Any]],
) -> None:
    await put(*both(OLD), *both(("2001:db8::1",), AAAA))
    await put(*both(("2001:db8::2",), AAAA))
    assert await nameserver_rig.query(f"www.{HOST}", "A") == OLD
    await put(*both((), A))
    assert await nameserver_rig.query(f"www.{HOST}", "A") == ()
    assert await nameserver_rig.query(f"www.{HOST}", "AAAA") == ("2001:db8::2",)
    assert set(await held()) == {(HOST, AAAA), (WILDCARD, AAAA)}


async def test_a_wildcard_answers_for_no_name_that_exists(
    nameserver_rig: NameserverRig, put: Callable[..., Coroutine[Any, Any, Any]]
) -> None:
    below, family = f"home.{HOST}", "2001:db8::1"
    await put(*both(OLD), Replace(below, AAAA, 60, (family,)))
    assert await nameserver_rig.query(below, "AAAA") == (family,)
    assert await nameserver_rig.query(below, "A") == ()
    assert await nameserver_rig.query(f"www.{below}", "A") == ()
    await put(Replace(below, AAAA, 60, ()))
    assert await nameserver_rig.query(below, "A") == OLD
    assert await nameserver_rig.query(f"www.{below}", "A") == OLD


async def test_a_challenge_hides_its_host_below_a_wildcard_while_it_lasts(
    nameserver_rig: NameserverRig, put: Callable[..., Coroutine[Any, Any, Any]]
) -> None:
    below = f"home.{HOST}"
    await put(*both(OLD), Replace(f"_acme-challenge.{below}", TXT, 60, TOKENS[:1]))
    assert await nameserver_rig.query(below, "A") == ()
    assert await nameserver_rig.query(f"www.{HOST}", "A") == OLD
    await put(Replace(f"_acme-challenge.{below}", TXT, 60, ()))
    assert await nameserver_rig.query(below, "A") == OLD


async def test_challenges_are_set_replaced_and_removed_beside_a_wildcard(
    nameserver: Rfc2136Nameserver,
    nameserver_rig: NameserverRig,
    put: Callable[..., Coroutine[Any, Any, Any]],
    held: Callable[..., Coroutine[Any, Any, Any]],
) -> None:
    await put(*both(OLD))
    for values in (TOKENS[:1], TOKENS, TOKENS[1:], (LONGEST, TOKENS[0]), (), TOKENS):
        await put(Replace(CHALLENGE, TXT, 30, values))
        expected = tuple(sorted(values))
        assert await nameserver_rig.query(CHALLENGE, "TXT") == tuple(sorted(f'"{value}"' for value in values))
        assert await nameserver.query(ZONE, CHALLENGE, TXT) == (
            RRset(CHALLENGE, TXT, 30, expected) if values else None
        )
        assert (await held()).get((CHALLENGE, TXT), ()) == expected
        assert await nameserver_rig.query(CHALLENGE, "A") == (() if values else OLD)
    assert set(await held()) == {(HOST, A), (WILDCARD, A), (CHALLENGE, TXT)}


async def test_prerequisites_see_no_wildcard(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    """A query does: what it gets may stand at the wildcard, and nothing in the answer says so."""
    await nameserver_rig.add_foreign(Record(f"*.{ZONE}", 60, "TXT", '"v=spf1 -all"'))
    answered = await nameserver.query(ZONE, CHALLENGE, TXT)
    assert answered == RRset(CHALLENGE, TXT, 60, ("v=spf1 -all",))
    mine = (Replace(CHALLENGE, TXT, 60, TOKENS),)
    for prerequisite, changes, rcode in (
        (Exists(CHALLENGE, TXT, answered.values), mine, Rcode.NXRRSET),
        (Absent(CHALLENGE, TXT), (), Rcode.NOERROR),
        (Absent(f"*.{ZONE}", TXT), (), Rcode.YXRRSET),
        (Absent(CHALLENGE, TXT), mine, Rcode.NOERROR),
        (Absent(CHALLENGE, TXT), (), Rcode.YXRRSET),
    ):
        assert await nameserver.update(Update(ZONE, (prerequisite,), changes)) is rcode
    assert await nameserver.query(ZONE, CHALLENGE, TXT) == RRset(CHALLENGE, TXT, 60, tuple(sorted(TOKENS)))


@pytest.mark.parametrize("alias", [WILDCARD, CHALLENGE])
async def test_an_alias_is_in_the_way(
    nameserver: Rfc2136Nameserver,
    nameserver_rig: NameserverRig,
    held: Callable[..., Coroutine[Any, Any, Any]],
    alias: str,
) -> None:
    """PowerDNS says so. BIND and Knot say NOERROR, and leave out this one: the others are taken."""
    await nameserver_rig.add_foreign(Record(alias, 60, "CNAME", "elsewhere.example.net."))
    change = Replace(CHALLENGE, TXT, 60, TOKENS) if alias == CHALLENGE else Replace(WILDCARD, A, 60, OLD)
    rcode = await nameserver.update(Update(ZONE, (), (Replace(HOST, A, 60, OLD), change)))
    assert await nameserver.query(ZONE, change.name, change.type) == Hidden(alias, "CNAME")
    is_told = rcode is Rcode.REFUSED
    assert is_told or rcode is Rcode.NOERROR
    assert await nameserver_rig.query(HOST, "A") == (() if is_told else OLD)
    assert change[:2] not in await held()


async def test_an_alias_at_the_wildcard_is_in_no_challenge_s_way(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig, put: Callable[..., Coroutine[Any, Any, Any]]
) -> None:
    await nameserver_rig.add_foreign(Record(WILDCARD, 60, "CNAME", "elsewhere.example.net."))
    assert await nameserver.query(ZONE, CHALLENGE, TXT) == Hidden(CHALLENGE, "CNAME")
    await put(Replace(CHALLENGE, TXT, 60, TOKENS))
    assert await nameserver_rig.query(CHALLENGE, "TXT") == tuple(sorted(f'"{value}"' for value in TOKENS))


async def test_below_a_delegation_no_wildcard_is_served(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    await nameserver_rig.add_foreign(Record(HOST, 60, "NS", "ns.example.net."))
    assert await nameserver.update(Update(ZONE, (), (Replace(WILDCARD, A, 60, OLD),))) is Rcode.NOERROR
    assert await nameserver.query(ZONE, WILDCARD, A) == Hidden(HOST, "NS")
    assert await nameserver_rig.query(f"www.{HOST}", "A") == ()


BELOW_A_DNAME = {
    BindRig: (Rcode.NOERROR, Hidden(HOST, "DNAME")),
    KnotRig: (Rcode.REFUSED, Hidden(HOST, "DNAME")),
    PowerDnsRig: (Rcode.NOERROR, RRset(WILDCARD, A, 60, OLD)),
}


async def test_below_a_dname_each_does_as_it_likes(
    nameserver: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    await nameserver_rig.add_foreign(Record(HOST, 60, "DNAME", "elsewhere.example.net."))
    rcode = await nameserver.update(Update(ZONE, (), (Replace(WILDCARD, A, 60, OLD),)))
    assert (rcode, await nameserver.query(ZONE, WILDCARD, A)) == BELOW_A_DNAME[type(nameserver_rig)]
