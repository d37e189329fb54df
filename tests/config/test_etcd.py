"""`store.etcd`: what it takes, what it refuses with a remedy, and that no password is ever shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ddnsd.config import ConfigError, EtcdSettings, Settings, load, warnings
from tests.rigs.certificates import Certificates

PASSWORD = "correct horse battery"
BIND = """
nameservers:
  bind: {kind: rfc2136, address: 192.0.2.1, key: {name: ddnsd, secret_file: key}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration whose `store.etcd` has these lines; return its path."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "key").write_text("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n")
    for name in ("password", "key"):
        (tmp_path / name).chmod(0o600)

    def write(*lines: str, kind: str = "etcd") -> Path:
        path = tmp_path / "config.yaml"
        path.write_text("\n    ".join((f"{BIND}store:\n  kind: {kind}\n  etcd:", *lines)))
        return path

    return write


def read(path: Path) -> EtcdSettings:
    etcd = load(path, {}).store.etcd
    assert etcd is not None
    return etcd


def mistake(path: Path | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    (found,) = caught.value.problems
    assert PASSWORD not in str(found)
    return str(found)


def test_endpoints_are_enough(write: Callable[..., Path]) -> None:
    assert read(write("endpoints: etcd1:2379")) == EtcdSettings(endpoints=("etcd1:2379",))


def test_variables_are_enough() -> None:
    variables = {
        "DDNSD_STORE_KIND": "etcd",
        "DDNSD_STORE_ETCD_ENDPOINTS": "http://[::1]:2379, 192.0.2.1:2379",
    }
    etcd = load(None, variables).store.etcd
    assert etcd is not None
    assert etcd.endpoints == ("http://[::1]:2379", "192.0.2.1:2379")


def test_kind_and_section_go_together(write: Callable[..., Path]) -> None:
    assert mistake(None, {"DDNSD_STORE_KIND": "etcd"}).startswith("store.etcd: missing: write the members'")
    assert mistake(write("prefix: a/")).startswith("store.etcd.endpoints: missing: write the members'")
    assert "write etcd, or remove store.etcd" in mistake(write("endpoints: etcd1:2379", kind="embedded"))


@pytest.mark.parametrize(
    "endpoint",
    ["etcd1", "http://etcd1", "ftp://etcd1:21", ":2379", "etcd1:0", "etcd1:2379/v3", "etcd 1:2379"],
)
def test_no_endpoint(write: Callable[..., Path], endpoint: str) -> None:
    assert mistake(write(f'endpoints: "{endpoint}"')).startswith(f"store.etcd.endpoints: {endpoint!r}: write")


def test_a_password_in_an_endpoint_is_not_shown(write: Callable[..., Path]) -> None:
    shown = mistake(write("endpoints: http://root:hunter2@etcd1:2379"))
    assert "no user, no password" in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("prefix", ["ddnsd", "a b/", "ключ/"])
def test_no_prefix(write: Callable[..., Path], prefix: str) -> None:
    assert 'ends with "/"' in mistake(write("endpoints: etcd1:2379", f"prefix: {prefix}"))


def test_a_password_comes_from_a_file(write: Callable[..., Path]) -> None:
    etcd = read(write("endpoints: https://etcd1:2379", "user: ddnsd", "password_file: password"))
    assert etcd.password_file is not None
    assert etcd.password_file.content.decode() == PASSWORD
    assert PASSWORD not in repr(etcd)


@pytest.mark.parametrize("missing", ["user", "password_file"])
def test_user_and_password_go_together(write: Callable[..., Path], missing: str) -> None:
    lines = {"user": "user: ddnsd", "password_file": "password_file: password"}
    del lines[missing]
    assert mistake(write("endpoints: etcd1:2379", *lines.values())).startswith(
        f"store.etcd.{missing}: missing"
    )


def test_a_password_in_place_of_its_file_is_not_shown(write: Callable[..., Path]) -> None:
    shown = mistake(write("endpoints: etcd1:2379", "user: ddnsd", f"password_file: {PASSWORD}"))
    assert shown.startswith(
        "store.etcd.password_file: cannot be read (No such file or directory): name the file"
    )


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_file_without_a_password(write: Callable[..., Path], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    shown = mistake(write("endpoints: etcd1:2379", "user: ddnsd", "password_file: password"))
    assert "the password, on one line" in shown


def test_tls(write: Callable[..., Path], tmp_path: Path) -> None:
    Certificates(tmp_path / "tls")
    files = ("tls:", "  ca: tls/ca.pem", "  certificate: tls/client.pem", "  key: tls/client.key")
    assert read(write("endpoints: etcd1:2379", *files)).tls is not None
    shown = mistake(write("endpoints: [https://etcd1:2379,http://etcd2:2379]", *files))
    assert shown == "store.etcd.endpoints: http://etcd2:2379: write https://, as `tls` is given"
    assert "key go together" in mistake(write("endpoints: etcd1:2379", *files[:3]))
    mismatch = (*files[:3], "  key: tls/server.key")
    assert "do not load together" in mistake(write("endpoints: etcd1:2379", *mismatch))
    assert "client.key does not load" in mistake(write("endpoints: etcd1:2379", "tls: {ca: tls/client.key}"))


def warnings_of(path: Path) -> list[str]:
    settings: Settings = load(path, {})
    return list(warnings(settings))


def test_remarks(write: Callable[..., Path], tmp_path: Path) -> None:
    user = ("user: ddnsd", "password_file: password")
    assert warnings_of(write("endpoints: https://etcd1:2379", *user)) == []
    (warning,) = warnings_of(write("endpoints: [https://etcd1:2379,etcd2:2379]", *user))
    assert "plain text" in warning
    (tmp_path / "password").chmod(0o644)
    (warning,) = warnings_of(write("endpoints: https://etcd1:2379", *user))
    assert warning.endswith(f"chmod 600 {tmp_path / 'password'}")
