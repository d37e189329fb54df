"""From a file and variables to the tree, or to all their mistakes."""

import string
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ddnsd.config import ConfigError, EmbeddedNameserverSettings, ListenAddress, Settings, load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def mistakes(path: Path | None, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Return the whole lines of the mistakes by their path."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return {problem.field: str(problem) for problem in caught.value.problems}


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings.listen.public == ListenAddress("", 8080)
    assert settings.data == tmp_path / "data"
    assert settings.nameservers == {"default": EmbeddedNameserverSettings(kind="embedded")}


def test_the_shipped_file_holds_the_defaults(write: Callable[..., Path]) -> None:
    assert load(write((ROOT / "config.yaml").read_text()), {}) == load(write(""), {})


def test_an_empty_section_keeps_its_defaults(write: Callable[..., Path]) -> None:
    empty = "publish:\n  # timeout: 8\nlog:\nhttp: {}\ntrusted_proxies: []\nnameservers: {}\n"
    assert load(write(empty), {}) == load(write(""), {})


def test_relative_paths_start_at_the_files_folder(write: Callable[..., Path], tmp_path: Path) -> None:
    settings = load(write("data: state\nadmin: {token_file: secrets/admin}"), {})
    assert settings.data == tmp_path / "state"
    assert settings.admin.token_file == tmp_path / "secrets" / "admin"


def test_all_mistakes_are_told_at_once_with_path_value_and_remedy(write: Callable[..., Path]) -> None:
    found = mistakes(
        write(
            """
            listen: {public: 8080, admin: "127.0.0.1:99999", helth: ":1"}
            publish: {timeout: soon, batch: 1.5, probe_interval: 2}
            trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]
            log: {level: loud}
            drain: 10
            nameservers: {Bind: {kind: embedded}, other: {kind: dnsmasq}, third: {kind: rfc2136}}
            """
        ),
        {"DDNSD_STORE_TIMEOUT": "0", "DDNSD_STORE_TIMOUT": "5"},
    )
    assert found["listen.helth"] == "listen.helth: unknown key; did you mean health?"
    assert found["publish.timeout"] == "publish.timeout: 'soon': write a number of seconds from 0.5 to 60"
    assert found["publish.batch"] == "publish.batch: 1.5: write a whole number of records from 1 to 1000"
    assert found["store.timeout"].startswith("store.timeout: 0 from DDNSD_STORE_TIMEOUT: write a number")
    assert found["DDNSD_STORE_TIMOUT"].endswith("did you mean DDNSD_STORE_TIMEOUT?")
    assert found["listen.admin"] == "listen.admin: '127.0.0.1:99999': the port is 0 to 65535"
    assert found["log.level"] == "log.level: 'loud': write debug, info, warning or error"
    assert found.keys() == {
        *("listen.public", "listen.admin", "listen.helth", "publish.timeout", "publish.batch"),
        *("publish.probe_interval", "trusted_proxies[1]", "log.level", "drain", "nameservers.Bind"),
        *("nameservers.other.kind", "nameservers.third.address", "nameservers.third.key"),
        *("store.timeout", "DDNSD_STORE_TIMOUT"),
    }


def test_the_error_reads_as_a_list(write: Callable[..., Path]) -> None:
    path = write("log: {level: loud}\nstore: {timeout: -1}")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    first, *rest = str(caught.value).splitlines()
    assert first == f"2 errors in {path}:"
    assert [line.strip().partition(":")[0] for line in rest] == ["store.timeout", "log.level"]


def test_variables_override_the_file(write: Callable[..., Path]) -> None:
    path = write("publish: {timeout: 9}\nnameservers: {my-bind: {kind: embedded}}")
    settings = load(
        path,
        {
            "DDNSD_PUBLISH_TIMEOUT": "7.5",
            "DDNSD_LISTEN_PUBLIC": "[::1]:80",
            "DDNSD_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
            "DDNSD_NAMESERVERS_MY_BIND_LISTEN": "127.0.0.1:53,[::1]:53",
            "DDNSD_LOG_LEVEL": "",  # counts as not set
            "DDNSD_SERVER": "http://127.0.0.1:8081",  # the command line's own
            "DDNSD_SERVICE_HOST": "10.0.0.1",  # Kubernetes' own, as the next two
            "DDNSD_PUBLIC_PORT_8080_TCP_ADDR": "10.0.0.1",
            "DDNSD_PORT": "tcp://10.0.0.1:8080",
        },
    )
    assert settings.publish.timeout == 7.5
    assert settings.listen.public == ListenAddress("::1", 80)
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert isinstance(settings.nameservers["my-bind"], EmbeddedNameserverSettings)
    assert settings.nameservers["my-bind"].listen == (
        ListenAddress("127.0.0.1", 53),
        ListenAddress("::1", 53),
    )
    assert settings.log.level == "info"


def test_an_item_of_a_list_names_the_variable_that_it_came_from() -> None:
    assert mistakes(None, {"DDNSD_TRUSTED_PROXIES": "10.0.0.0/8, x"}).keys() == {"trusted_proxies[1]"}
    (one,) = mistakes(None, {"DDNSD_TRUSTED_PROXIES": "10.0.0.0/8, x"}).values()
    assert one.startswith("trusted_proxies[1]: 'x' from DDNSD_TRUSTED_PROXIES: write a network")


def test_a_variable_that_could_mean_two_keys_is_refused(write: Callable[..., Path]) -> None:
    path = write("nameservers: {a: {kind: embedded}, a-connect: {kind: embedded}}")
    found = mistakes(path, {"DDNSD_NAMESERVERS_A_CONNECT_TIMEOUT": "1"})
    assert "nameservers.a.connect_timeout, nameservers.a-connect.timeout" in "".join(found.values())


@pytest.mark.parametrize("end", ["PORT", "CONNECT_TIMEOUT", "KEY_SECRET_FILE"])
def test_a_variable_of_a_nameserver_that_the_file_lacks(end: str) -> None:
    (remedy,) = mistakes(None, {f"DDNSD_NAMESERVERS_MY_BIND_{end}": "1"}).values()
    assert remedy.endswith(": there is no nameserver 'my-bind' in the file; known: default")


def test_a_misspelled_variable_of_a_nameserver_in_the_file() -> None:
    (remedy,) = mistakes(None, {"DDNSD_NAMESERVERS_DEFAULT_LISTN": "1"}).values()
    assert remedy.endswith("did you mean DDNSD_NAMESERVERS_DEFAULT_LISTEN?")


def test_a_missing_key_is_told_how_to_make_it(write: Callable[..., Path]) -> None:
    found = mistakes(write("nameservers: {default: {kind: rfc2136, address: 192.0.2.1}}"))
    assert "write `key: {secret_file: ddnsd.key}`; `tsig-keygen" in found["nameservers.default.key"]


def test_a_variable_that_cannot_be_printed_is_refused() -> None:
    assert mistakes(None, {"DDNSD_DATA": "a\udcff"}) == {
        "DDNSD_DATA": "DDNSD_DATA: has characters that cannot be printed"
    }


def test_two_listeners_cannot_share_a_port() -> None:
    found = mistakes(None, {"DDNSD_LISTEN_PUBLIC": ":8081", "DDNSD_LISTEN_HEALTH": "127.0.0.1:8081"})
    assert found.keys() == {"listen.admin", "listen.health"}
    free = {f"DDNSD_LISTEN_{name}": "127.0.0.1:0" for name in ("PUBLIC", "ADMIN", "HEALTH")}
    assert load(None, free).listen.admin.port == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log: {level: on}", "log.level: 'on': write debug"),  # YAML 1.1: true
        ("publish: {batch: 12:30}", "publish.batch: '12:30': write a whole number"),  # YAML 1.1: 750
        ("publish: {batch: 0200}", "publish.batch: '0200': write a whole number"),  # YAML 1.1: 128
        ("publish: {batch: '200'}", "publish.batch: '200': write a whole number"),
        ("publish: {timeout: .inf}", "publish.timeout: '.inf': write a number"),
        ("publish: {timeout: 1e999}", "publish.timeout: inf: write a number"),
        ("log: {level: info}\nlog: {level: debug}", "log: written twice, in lines 1 and 2: keep one"),
        ("log: {level: info, level: info}", "log.level: written twice"),
        ("data: !!binary aGk=", "line 1, column 7: tags are not read here"),
        ("data: &a x", "line 1, column 7: anchors and aliases are not read here"),
        ("log: *a", "line 1, column 6: anchors and aliases are not read here"),
        ("log:\n\tlevel: info", "cannot start any token: indent with spaces, not tabs"),
        ("data: [", "line 2, column 1: "),
        ("- a", "write a group of keys"),
        ("a: 1\n---\nb: 2", "line 2, column 1: "),
        ("[" * 1000, "more than 32 levels deep"),
        ('data: "a\\0b"', "data: line 1: control characters"),
        ('data: "\\U99999999"', "invalid Unicode character"),
        ("? [a]\n: b", "line 1: a key is a plain word"),
        ("#" * 2**21, "larger than 1048576 bytes"),
        ("data: ''", "data: '': write a path"),
        ("nameservers: []", "nameservers: a list: write a group of keys"),
        ("nameservers: {default: {kind: embedded, listen: []}}", "listen: a list: write 1 to 16 entries"),
    ],
)
def test_what_yaml_makes_a_trap_is_a_clear_mistake(
    write: Callable[..., Path], text: str, expected: str
) -> None:
    assert any(expected in line for line in mistakes(write(text)).values())


def test_a_missing_file_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory: name one that can"):
        load(tmp_path / "absent.yaml", {})


def test_bytes_that_are_no_text_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"data: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "config.yaml", {})


KEYS = st.sampled_from(
    [
        "data",
        "listen",
        "public",
        "tls",
        "key",
        "nameservers",
        "default",
        "kind",
        "name",
        "trusted_proxies",
        "x",
    ]
)
SCALARS = st.one_of(
    st.sampled_from(
        ["embedded", "rfc2136", '":0"', "~", "''", "-1", "1e9", "10.0.0.0/8", "on", "/dev/null", "."]
    ),
    st.text(string.printable, max_size=8),
)
FLOW = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
        ),
    ),
    max_leaves=12,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.one_of(FLOW.map(str.encode), st.text().map(str.encode), st.binary()))
@example(content=b'data: "\\ud800"')
@example(content=b"%YAML " + b"9" * 5000 + b".1\n---\n")
@example(content=b"{nameservers: {default: {kind: [embedded]}}}")
def test_any_content_is_settings_or_mistakes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(load(path, {}), Settings)
    except ConfigError as error:
        str(error).encode()  # printable, whatever was in the file


@hypothesis_settings(deadline=None)
@given(
    name=st.sampled_from(
        ["DATA", "LISTEN_PUBLIC", "PUBLISH_BATCH", "TRUSTED_PROXIES", "NAMESERVERS_DEFAULT_KIND"]
    ),
    text=st.text(),
)
def test_any_variable_is_settings_or_mistakes(name: str, text: str) -> None:
    try:
        assert isinstance(load(None, {f"DDNSD_{name}": text}), Settings)
    except ConfigError as error:
        str(error).encode()
