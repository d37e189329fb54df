"""Single values as operators write them."""

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from ddnsd.config import KubeSettings, ListenAddress, load
from ddnsd.config.parse import (
    parse_api_server,
    parse_endpoint,
    parse_key_name,
    parse_label,
    parse_mailbox,
    parse_network,
    parse_server,
)
from ddnsd.config.reader import Reader


def setting(key: str) -> Callable[[str], object]:
    """Return what reads one of the controller's settings."""

    def parse(text: str) -> object:
        remedies: list[str] = []
        reader = Reader(lambda _path, _value, remedy: remedies.append(remedy), Path())
        found = reader.read(KubeSettings, {key: text})
        if found is None:
            raise ValueError(*remedies)
        return getattr(found, key)

    return parse


kubernetes_name, role = setting("source"), setting("secrets_role")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8080", ListenAddress("", 8080)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("[2001:DB8::1]:53", ListenAddress("2001:db8::1", 53)),
        ("LocalHost:80", ListenAddress("localhost", 80)),
    ],
)
def test_an_endpoint(text: str, expected: ListenAddress) -> None:
    assert parse_endpoint(text) == expected
    assert parse_endpoint(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "8080",
        "",
        ":",
        ":65536",
        ":-1",
        "::1:80",
        "[::1]",
        "[127.0.0.1]:80",
        "256.0.0.1:80",
        "a b:80",
        "http://a:80",
    ],
)
def test_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|brackets|the port is 0 to 65535"):
        parse_endpoint(text)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (parse_label, "_DDNSD", "_ddnsd"),
        (parse_key_name, "My_Key.Example.", "my_key.example"),
        (parse_mailbox, "Host.Master@Example.com.", "Host.Master@example.com"),
        (parse_server, "NS1.Example.com.", "ns1.example.com"),
        (parse_server, "2001:DB8:0::1", "2001:db8::1"),
        (parse_api_server, "https://10.96.0.1:443/", "https://10.96.0.1:443"),
        (parse_api_server, "https://[2001:DB8::1]:6443", "https://[2001:db8::1]:6443"),
        (parse_api_server, "https://Kubernetes.default.svc", "https://kubernetes.default.svc"),
        (kubernetes_name, "home-1", "home-1"),
        (role, "dns:ddnsd-secrets", "dns:ddnsd-secrets"),
        (parse_network, "192.0.2.1", parse_network("192.0.2.1/32")),
    ],
)
def test_a_value_becomes_canonical(parse: Callable[..., Any], text: str, expected: IPv4Network | str) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_label, "a.b"),
        (parse_label, "a" * 64),
        (parse_key_name, "a..b"),
        (parse_key_name, ".".join(["a" * 63] * 4)),
        (parse_mailbox, "hostmaster"),
        (parse_mailbox, "a b@example.com"),
        (parse_server, "1.2.3"),
        (parse_api_server, "10.96.0.1:443"),
        (parse_api_server, "http://10.96.0.1:443"),
        (parse_api_server, "https://user@10.96.0.1:443"),
        (parse_api_server, "https://10.96.0.1:0"),
        (kubernetes_name, "Home"),
        (role, ""),
        (role, "a b"),
        (role, "a;b"),
        (role, "a" * 254),
        (kubernetes_name, "home-"),
        (kubernetes_name, "a.b"),
        (kubernetes_name, "a" * 64),
        (parse_network, "10.0.0.1/8"),
    ],
)
def test_a_wrong_value_is_told_what_to_write(parse: Callable[..., Any], text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse(text)


def test_a_whole_number_of_seconds_is_a_float(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("publish: {timeout: 9}")
    assert isinstance(load(tmp_path / "config.yaml", {}).publish.timeout, float)
