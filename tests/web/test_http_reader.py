"""The reader of requests: what it makes of octets does not depend on how they come."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.web.http_reader import MOST_FIELDS, HeadTooLargeError, MalformedRequestError, RequestReader

MAX_HEAD = 400
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
PIECES = st.sampled_from(
    [
        *(GET, b"POST /b HTTP/1.1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n"),
        *(b"abcde", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"\n", b"\r", b"x", b":", b"\0"),
        *(b"Connection: upgrade\r\nUpgrade: y\r\n", b"Connection: close\r\n", b"1;e\r\n", b"HTTP/1.0 "),
    ]
)


def read(octets: bytes, cuts: list[int]) -> tuple[list[tuple[str, str, bytes]], str]:
    """Return the requests in octets that come in parts, and why there are no more."""
    reader, requests, body, rest = RequestReader(MAX_HEAD), [], b"", b""
    ends = [*sorted({cut % (len(octets) + 1) for cut in cuts}), len(octets)]
    try:
        for begin, end in zip([0, *ends], ends, strict=False):
            rest += octets[begin:end]
            while rest:
                used = reader.take(rest)
                assert 0 < used <= len(rest)
                rest = rest[used:]
                body += reader.body
                if reader.is_complete:
                    assert reader.start_line
                    requests.append((reader.start_line.method, reader.start_line.path, body))
                    body = b""
                    reader.next()
    except ValueError as error:
        return requests, type(error).__name__
    return requests, "more"


@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(st.integers(0, 500), max_size=20))
def test_it_does_not_matter_how_octets_come(octets: bytes, cuts: list[int]) -> None:
    assert read(octets, cuts) == read(octets, [])
    assert read(octets, list(range(len(octets)))) == read(octets, [])


@pytest.mark.parametrize("cuts", [[], [1], [MAX_HEAD], list(range(500))], ids=["whole", "1", "full", "each"])
@pytest.mark.parametrize("size", [MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1])
def test_a_head_may_be_so_large_and_no_larger(size: int, cuts: list[int]) -> None:
    head = b"GET /a HTTP/1.1\r\nX: " + b"y" * (size - 24) + b"\r\n\r\n"
    assert len(head) == size
    expected = ([], "HeadTooLargeError") if size > MAX_HEAD else ([("GET", "/a", b"")], "more")
    assert read(head, cuts) == expected


def test_a_head_with_too_many_fields_is_too_large_a_one() -> None:
    reader = RequestReader(65536)
    fields = b"a:\r\n" * MOST_FIELDS
    reader.take(b"GET /a HTTP/1.1\r\n" + fields + b"\r\n")
    assert reader.is_complete
    with pytest.raises(HeadTooLargeError):
        RequestReader(65536).take(b"GET /a HTTP/1.1\r\nb:\r\n" + fields + b"\r\n")


@pytest.mark.parametrize("octets", [b"\r\n" * 300, b"GET /" + b"a" * 500, b"x" * 500, b"\0" * 500])
def test_what_never_becomes_a_head_is_too_large_a_one(octets: bytes) -> None:
    assert read(octets, []) == read(octets, list(range(len(octets)))) == ([], "HeadTooLargeError")


def test_trailers_are_bounded() -> None:
    octets = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 2000
    assert read(octets, []) == ([], "MalformedRequestError")


def test_an_endless_line_of_a_chunk_is_none() -> None:
    reader = RequestReader(MAX_HEAD)
    octets = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert reader.take(octets) == len(octets)
    taken = 0
    with contextlib.suppress(MalformedRequestError):
        while taken < 5000:
            taken += reader.take(b"0")
    assert taken <= 1024
