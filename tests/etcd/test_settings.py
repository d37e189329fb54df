"""Endpoints as operators write them; secrets that stay where they are."""

import pytest

from ddnsd.etcd import EtcdClientSettings, EtcdUser, Tls
from ddnsd.etcd.settings import parse_address
from ddnsd.etcd.values import prefix_end, prefix_range


@pytest.mark.parametrize(
    ("text", "target", "tls"),
    [
        ("http://10.0.0.1:2379", "ipv4:10.0.0.1:2379", False),
        ("https://[2001:db8::1]:4001", "ipv6:[2001:db8::1]:4001", True),
        ("etcd-0.etcd", "dns:///etcd-0.etcd:2379", False),
        ("[::1]", "ipv6:[::1]:2379", False),
    ],
)
def test_addresses(text: str, target: str, tls: bool) -> None:
    assert parse_address(text)[1:] == (target, tls)


def test_tls_makes_https_the_default() -> None:
    assert parse_address("etcd:2379", tls=True).tls


@pytest.mark.parametrize(
    "text",
    ["", "ftp://a:1", "http://", "http://a/path", "http://user:secret@a", "http://user:secret@a/path", "a:b"],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match=r"etcd endpoint|[Pp]ort") as caught:
        EtcdClientSettings((text,))
    assert "secret" not in str(caught.value)


def test_secrets_are_not_printed() -> None:
    settings = EtcdClientSettings(("a",), Tls(key=b"secret"), EtcdUser("user", "secret"))
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a/", b"a0"), (b"a\xff", b"b"), (b"\xff\xff", b"\0"), (b"", b"\0")]
)
def test_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_the_empty_prefix_is_everything() -> None:
    assert prefix_range(b"") == (b"\0", b"\0")
