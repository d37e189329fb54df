"""Where a head ends, as Tornado sees it, and over TLS as well."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ddnsd.web.streams import head_length

END = re.compile(rb"\r?\n\r?\n")  # tornado.http1connection


HEADS = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"x"]), max_size=12).map(b"".join)


@given(HEADS)
def test_it_is_found_however_the_octets_come(octets: bytes) -> None:
    for come in range(len(octets)):
        if head_length(octets[:come]) is None:
            assert head_length(octets, searched=come) == head_length(octets)


@given(HEADS)
def test_a_head_ends_where_tornado_has_it_end(octets: bytes) -> None:
    match = END.search(octets)
    assert head_length(octets) == (match.end() if match else None)
