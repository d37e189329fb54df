"""The PROXY protocol's header: what each version says, and that nothing else is taken for one."""

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddnsd.web.proxy_protocol import LONGEST, ProxyHeaderError, header_length, header_source
from tests.web.proxy_headers import SIGNATURE, UNKNOWN, binary, extension, version_1, version_2

ADDRESSES = st.ip_addresses().map(str)
EXTENSIONS = st.lists(st.builds(extension, st.integers(0, 255), st.binary(max_size=60)), max_size=5)
AWS = extension(0xEA, b"\x01vpce-08d2bf15fac5001c9") + extension(0x03, bytes(4)) + extension(0x04, bytes(80))
OWN = (
    UNKNOWN,
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
    binary(0x20, 0x00),
    binary(0x20, 0x11, bytes(12)),
    binary(0x20, 0xFF, b"of no meaning"),
    binary(0x21, 0x00),
    binary(0x21, 0x31, bytes(216)),
    binary(0x21, 0x12, bytes(12)),
)


@given(source=ADDRESSES, target=ADDRESSES, port=st.integers(0, 65535), behind=st.binary(max_size=50))
def test_version_1(source: str, target: str, port: int, behind: bytes) -> None:
    if ip_address(source).version != ip_address(target).version:
        target = source
    header = version_1(source, target, port)
    assert header_length(header + behind) == len(header)
    assert header_source(header) == source


@given(source=ADDRESSES, extensions=EXTENSIONS, behind=st.binary(max_size=50))
@example(source="192.0.2.7", extensions=[AWS], behind=b"")
def test_version_2(source: str, extensions: list[bytes], behind: bytes) -> None:
    header = version_2(source, b"".join(extensions))
    assert header_length(header + behind) == len(header)
    assert header_source(header) == source


@pytest.mark.parametrize("header", OWN)
def test_a_connection_of_the_proxys_own(header: bytes) -> None:
    assert header_length(header) == len(header)
    assert header_source(header) is None


@pytest.mark.parametrize("header", [*OWN, version_1("2001:db8::7"), version_2("192.0.2.7", AWS)])
def test_a_part_of_a_header_is_never_taken_for_a_whole(header: bytes) -> None:
    lengths = [header_length(header[:count]) for count in range(len(header))]
    known = [length for length in lengths if length is not None]
    assert set(known) <= {len(header)}
    assert len(known) == (len(header) - 16 if header.startswith(SIGNATURE) else 0)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01",  # TLS
        b"proxy TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY" + 200 * b" ",
        b"PROXY UNKNOWN" + 95 * b" " + b"\r\n",
        SIGNATURE[:-1] + b"\r",
        binary(0x21, 0x11, bytes(LONGEST)),
    ],
)
def test_no_header_begins_so(octets: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        header_length(octets)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY \r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n",
        b"PROXY TCP4 192.0.2.7  192.0.2.8 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.8 -1 2\r\n",
        b"PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::8 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 2001:db8::8 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n",
        "PROXY TCP4 ١٩٢.0.2.7 192.0.2.8 1 2\r\n".encode(),
        binary(0x11, 0x11, bytes(12)),  # version 1 in the binary form
        binary(0x22, 0x11, bytes(12)),  # no such command
        binary(0x21, 0x41, bytes(12)),  # no such family
        binary(0x21, 0x13, bytes(12)),  # no such transport
        binary(0x21, 0x11, bytes(11)),
        binary(0x21, 0x21, bytes(35)),
    ],
)
def test_a_header_that_is_none(header: bytes) -> None:
    assert header_length(header) == len(header)
    with pytest.raises(ProxyHeaderError):
        header_source(header)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(b"PROXY ".__add__),
        st.binary(max_size=300).map(SIGNATURE.__add__),
        st.text("PROXYTCUNKW 46.:0123456789abcdef\r\n", max_size=120).map(str.encode),
    )
)
def test_whatever_comes_is_a_header_or_none(octets: bytes) -> None:
    try:
        length = header_length(octets)
        if length is not None and length <= len(octets):
            source = header_source(octets[:length])
            assert source is None or str(ip_address(source)) == source
    except ProxyHeaderError:
        pass
