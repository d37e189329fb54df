"""What a check says of a record that is at a host's name though nothing is committed for it."""

import pytest

from ddnsd.leader.reconcile import Stray
from ddnsd.nameserver.interface import RecordType, RRset

RRSET = RRset("blog.example.com", RecordType.A, 60, ("192.0.2.1", "192.0.2.2"))
STAYS = "blog.example.com A: no address is committed; 192.0.2.1 192.0.2.2 stays"


@pytest.mark.parametrize(
    ("given", "end"),
    [(True, " until the host's first update"), (False, ", and that update is refused; ")],
)
def test_it_says_what_becomes_of_it(given: bool, end: str) -> None:
    text = str(Stray(RRSET, "example.com", given))
    assert text.startswith(STAYS + end)
    assert ("ddnsd zone" in text) is not given
