"""`workers`, and what only one process can have."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ddnsd.config import ConfigError, load, warnings

ETCD = "store: {kind: etcd, etcd: {endpoints: 'http://127.0.0.1:2379'}}\n"
BIND = "nameservers: {bind: {kind: rfc2136, address: 192.0.2.1, key: {name: ddnsd, secret_file: key}}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    key = tmp_path / "key"
    key.write_text("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n")
    key.chmod(0o600)

    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def mistakes(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return [str(mistake) for mistake in caught.value.problems]


def test_several_workers_on_etcd(write: Callable[..., Path]) -> None:
    settings = load(write(f"workers: 4\n{ETCD}{BIND}"), {})
    assert settings.workers == 4
    assert list(warnings(settings)) == []


def test_several_workers_want_a_store_and_nameservers_that_can_be_shared(write: Callable[..., Path]) -> None:
    assert mistakes(write("workers: 2\n")) == [
        "workers: 2: write 1, or use etcd (store.kind): the embedded store is for one process",
        "nameservers.default.kind: embedded: write rfc2136, or 1 for workers: "
        "the embedded nameserver is for one process",
    ]
    (shown,) = mistakes(write(BIND), {"DDNSD_WORKERS": "2"})
    assert shown.startswith("workers: 2 from DDNSD_WORKERS: write 1, or use etcd")
    (shown,) = mistakes(write(f"workers: 2\n{ETCD}"))
    assert shown.startswith("nameservers.default.kind: embedded: write rfc2136")


@pytest.mark.parametrize("workers", ["0", "65", "many"])
def test_a_number_of_workers_that_is_none(write: Callable[..., Path], workers: str) -> None:
    (shown,) = mistakes(write(f"workers: {workers}\n{ETCD}{BIND}"))
    assert "write a whole number from 1 to 64" in shown


def test_an_embedded_nameserver_beside_etcd_is_remarked(write: Callable[..., Path]) -> None:
    (warning,) = warnings(load(write(ETCD), {}))
    assert warning.startswith(
        "nameservers.default: an embedded nameserver serves what its own node publishes"
    )
    assert list(warnings(load(write(""), {}))) == []
