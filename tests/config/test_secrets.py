"""Secret files: what they may hold, and that no message ever shows it."""

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ddnsd.config import ConfigError, Rfc2136NameserverSettings, load, warnings

SECRET = base64.b64encode(bytes(range(224, 256))).decode()  # with + and /, as real ones have
STATEMENT = f"""// made by tsig-keygen
key "ddnsd_key" {{
	algorithm HMAC-SHA512; # ours
	secret "{SECRET}";
}};
"""


@pytest.fixture
def nameserver(tmp_path: Path) -> Callable[..., Rfc2136NameserverSettings]:
    """Write a configuration with one rfc2136 nameserver and its key file; return a loader of it."""

    def nameserver(content: str, key: str = "secret_file: tsig.key") -> Rfc2136NameserverSettings:
        (tmp_path / "tsig.key").write_text(content)
        (tmp_path / "config.yaml").write_text(
            f"nameservers: {{bind: {{kind: rfc2136, address: 192.0.2.1, key: {{{key}}}}}}}"
        )
        found = load(tmp_path / "config.yaml", {}).nameservers["bind"]
        assert isinstance(found, Rfc2136NameserverSettings)
        return found

    return nameserver


def test_a_key_statement_needs_no_more(nameserver: Callable[..., Rfc2136NameserverSettings]) -> None:
    key = nameserver(STATEMENT).key
    assert (key.name, key.algorithm) == ("ddnsd_key", "hmac-sha512")
    assert key.secret_file.secret == bytes(range(224, 256))


def test_a_secret_alone_needs_a_name(nameserver: Callable[..., Rfc2136NameserverSettings]) -> None:
    key = nameserver(SECRET + "\n", "secret_file: tsig.key, name: Ddnsd.").key
    assert (key.name, key.algorithm) == ("ddnsd", "hmac-sha256")
    with pytest.raises(ConfigError, match=r"bind\.key\.name: missing"):
        nameserver(SECRET)


def test_the_shown_settings_hold_no_secret(nameserver: Callable[..., Rfc2136NameserverSettings]) -> None:
    shown = repr(nameserver(STATEMENT))
    assert SECRET not in shown
    assert "secret=" not in shown


@pytest.mark.parametrize(
    ("content", "key", "expected"),
    [
        (STATEMENT, "name: other", "says 'ddnsd_key'"),
        (STATEMENT, "algorithm: hmac-sha256", "says 'hmac-sha512'"),
        (STATEMENT.replace("HMAC-SHA512", "hmac-md5"), "name: ddnsd_key", "says 'hmac-md5'"),
        (STATEMENT, "algorithm: hmac-md5", "write one of hmac-sha256"),
        (SECRET[:8], "name: a", "holds a secret of 6 bytes"),
        (" \n", "name: a", "tsig.key is empty: write what tsig-keygen"),
        (SECRET + "!", "name: a", "holds no base64"),
        (f'key "a" {{ algorithm hmac-sha256; }}; # {SECRET}', "name: a", "without a secret"),
        (SECRET + "ü", "name: a", "is not a key file"),
        (SECRET * 2000, "name: a", "is not a key file"),
    ],
)
def test_a_mistake_names_the_file_and_never_shows_the_secret(
    nameserver: Callable[..., Rfc2136NameserverSettings], content: str, key: str, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        nameserver(content, f"secret_file: tsig.key, {key}")
    assert expected in str(caught.value)
    assert "tsig.key" in str(caught.value) or "algorithm" in str(caught.value)
    assert SECRET[:8] not in str(caught.value)


def test_a_missing_file_is_told_how_to_make_it(nameserver: Callable[..., Rfc2136NameserverSettings]) -> None:
    with pytest.raises(
        ConfigError, match=r"nope\.key: No such file or directory: make it with tsig-keygen -a"
    ):
        nameserver("", "secret_file: nope.key")


@pytest.mark.parametrize("key", [f"secret_file: {SECRET}", f"secret: {SECRET}", f"secrt_file: {SECRET}"])
def test_a_secret_at_a_wrong_place_is_not_shown(
    nameserver: Callable[..., Rfc2136NameserverSettings], key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        nameserver("", key)
    assert SECRET[:8] not in str(caught.value)


def test_a_secret_in_an_unknown_variable_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="DDNSD_KEY_SECRET: unknown variable") as caught:
        load(None, {"DDNSD_KEY_SECRET": SECRET})
    assert SECRET[:8] not in str(caught.value)


def test_a_file_open_to_others_is_remarked_on(
    nameserver: Callable[..., Rfc2136NameserverSettings], tmp_path: Path
) -> None:
    nameserver(STATEMENT)
    (tmp_path / "tsig.key").chmod(0o640)
    assert not list(warnings(load(tmp_path / "config.yaml", {})))
    (tmp_path / "tsig.key").chmod(0o644)
    (warning,) = warnings(load(tmp_path / "config.yaml", {}))
    assert "chmod 600" in warning


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.pem and a.key that fit together, b.key that does not, c.key with a password."""
    folder = tmp_path_factory.mktemp("pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=a"]
    for name, protection in (("a", ["-nodes"]), ("b", ["-nodes"]), ("c", ["-passout", "pass:hidden"])):
        command = [
            "openssl",
            "req",
            "-x509",
            *curve,
            *protection,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
        ]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_a_certificate_loads_with_its_key(pem: Path) -> None:
    environ = {"DDNSD_LISTEN_TLS_CERTIFICATE": f"{pem}/a.pem", "DDNSD_LISTEN_TLS_KEY": f"{pem}/a.key"}
    assert load(None, environ).listen.tls is not None


@pytest.mark.parametrize(("certificate", "key"), [("a.pem", "b.key"), ("c.pem", "c.key"), ("a.key", "a.key")])
def test_a_certificate_and_a_key_that_do_not_load_together(pem: Path, certificate: str, key: str) -> None:
    environ = {"DDNSD_LISTEN_TLS_CERTIFICATE": f"{pem}/{certificate}", "DDNSD_LISTEN_TLS_KEY": f"{pem}/{key}"}
    with pytest.raises(ConfigError, match=r"listen\.tls: .* do not load together"):
        load(None, environ)


def test_a_certificate_needs_its_key(pem: Path) -> None:
    with pytest.raises(ConfigError, match=r"listen\.tls\.key: missing"):
        load(None, {"DDNSD_LISTEN_TLS_CERTIFICATE": f"{pem}/a.pem"})
