"""The nameserver's own name: what an NS record names resolves, or is not kept."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dns.message
import pytest
from dns.rcode import Rcode

from ddnsd.nameserver.embedded import Authority
from ddnsd.nameserver.embedded.answer import Policy, respond
from ddnsd.nameserver.embedded.zone import Zone
from ddnsd.nameserver.interface import RecordType, RRset
from tests.rigs.process import find_program

ASKED = ("192.0.2.53",)
HOST = RRset("ns.example.com", RecordType.A, 60, ("203.0.113.9",))


def ask(zone: Zone, name: str, rdtype: str, addresses: tuple[str, ...]) -> dns.message.Message:
    wire = dns.message.make_query(name, rdtype).to_wire()
    response = respond({zone.name: zone}, wire, policy=Policy(addresses), is_datagram=True)
    assert response is not None
    return dns.message.from_wire(response.wire)


def texts(section: list[Any]) -> list[str]:
    return sorted(text for rrset in section for text in rrset.to_text().splitlines())


def test_it_has_the_address_that_was_asked() -> None:
    zone = Zone("example.com", Authority(), 1)
    servers = ask(zone, "example.com", "NS", ASKED)
    assert texts(servers.answer) == ["example.com. 3600 IN NS ns.example.com."]
    assert texts(servers.additional) == ["ns.example.com. 300 IN A 192.0.2.53"]
    assert texts(ask(zone, "NS.example.com", "A", ASKED).answer) == ["NS.example.com. 300 IN A 192.0.2.53"]
    assert texts(ask(zone, "ns.example.com", "ANY", ASKED).answer) == ["ns.example.com. 300 IN A 192.0.2.53"]
    for rdtype in ("AAAA", "TXT"):
        message = ask(zone, "ns.example.com", rdtype, ASKED)
        assert (message.rcode(), message.answer) == (Rcode.NOERROR, [])
    assert ask(zone, "below.ns.example.com", "A", ASKED).rcode() == Rcode.NXDOMAIN


def test_a_host_of_this_name_goes_before() -> None:
    zone = Zone("example.com", Authority(), 1).load([HOST])
    assert texts(ask(zone, "ns.example.com", "A", ASKED).answer) == ["ns.example.com. 60 IN A 203.0.113.9"]
    assert ask(zone, "ns.example.com", "AAAA", ("2001:db8::1",)).answer == []
    assert texts(ask(zone, "example.com", "NS", ()).answer) == ["example.com. 3600 IN NS ns.example.com."]


def test_both_families_may_be_named() -> None:
    zone = Zone("example.com", Authority(), 1)
    servers = ask(zone, "example.com", "NS", ("192.0.2.53", "2001:db8::53"))
    assert texts(servers.additional) == [
        "ns.example.com. 300 IN A 192.0.2.53",
        "ns.example.com. 300 IN AAAA 2001:db8::53",
    ]


def test_a_name_server_without_an_address_is_not_named() -> None:
    zone = Zone("example.com", Authority(), 1)
    servers = ask(zone, "example.com", "NS", ())
    assert (servers.rcode(), servers.answer) == (Rcode.NOERROR, [])
    assert ask(zone, "ns.example.com", "A", ()).rcode() == Rcode.NOERROR


@pytest.mark.parametrize(
    ("name", "own"), [("ns1.example.com", True), ("ns1.example.com.", True), ("ns1.example.net", False)]
)
def test_a_name_of_the_settings_is_its_own_where_it_lies_in_the_zone(name: str, own: bool) -> None:
    zone = Zone("example.com", Authority(server_name=name), 1)
    servers = ask(zone, "example.com", "NS", ASKED)
    assert texts(servers.answer) == [f"example.com. 3600 IN NS {name.rstrip('.')}."]
    assert bool(servers.additional) is own
    assert bool(ask(zone, name.rstrip("."), "A", ASKED).answer) is own


@pytest.mark.parametrize("addresses", ["asked", "none"])
def test_a_resolver_goes_on_after_it_has_asked_for_the_name_servers(tmp_path: Path, addresses: str) -> None:
    """BIND as a resolver, in a network namespace, where the nameserver has port 53 and a parent delegates."""
    named = find_program("named", "bind9")
    program = [sys.executable, "-m", "tests.nameserver.embedded.resolved", str(tmp_path), named, addresses]
    done = subprocess.run(
        ["unshare", "--net", *program], capture_output=True, text=True, check=False, timeout=90
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("no right to make a network namespace")
    assert done.returncode == 0, done.stderr
    servers = "NOERROR 1" if addresses == "asked" else "NOERROR 0"
    assert done.stdout.splitlines()[-4:] == ["NOERROR 1", servers, "NOERROR 1", "NOERROR 1"]
