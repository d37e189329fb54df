"""What of new settings takes effect while ddnsd runs, and what waits for a restart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ddnsd.config import Settings, change, digests, load, needing_restart
from tests.config.table import settings

REMOTE = {"kind": "rfc2136", "address": "192.0.2.53", "key": {"secret_file": "a.key", "name": "a"}}
EMBEDDED = {"kind": "embedded"}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    (tmp_path / "a.key").write_text("c2VjcmV0LW9mLXRoZS1maXJzdC1rZXk=")
    (tmp_path / "password").write_text("of the first")

    def read(**config: Any) -> Settings:
        (tmp_path / "config.yaml").write_text(json.dumps(config))
        return load(tmp_path / "config.yaml", {})

    return read


def test_nothing_changes(read: Callable[..., Settings]) -> None:
    assert change(read(), read()) == (read(), (), ())


def test_each_setting_is_applied_or_waits(read: Callable[..., Settings]) -> None:
    old = read(listen={"public": ":1"}, log={"level": "info"}, publish={"batch": 5})
    new = read(listen={"public": ":2"}, log={"level": "debug"}, publish={"batch": 5, "fence": "_other"})
    changed = change(old, new)
    assert changed.applied == ("log.level",)
    assert changed.waiting == ("listen.public", "publish.fence")
    assert changed.settings == msgspec.structs.replace(old, log=new.log)
    assert change(changed.settings, old).waiting == ()


def test_the_content_of_a_file_counts(read: Callable[..., Settings], tmp_path: Path) -> None:
    old = read(nameservers={"default": REMOTE})
    (tmp_path / "a.key").write_text("c2VjcmV0LW9mLXRoZS1vdGhlci1rZXk=")
    new = read(nameservers={"default": REMOTE})
    assert change(old, new) == (new, ("nameservers.default.key.secret_file",), ())


def test_remote_nameservers_come_and_go(read: Callable[..., Settings]) -> None:
    old = read(nameservers={"one": REMOTE, "two": REMOTE})
    new = read(nameservers={"two": REMOTE, "three": REMOTE})
    assert change(old, new) == (new, ("nameservers.one", "nameservers.three"), ())


@pytest.mark.parametrize(("before", "after"), [(REMOTE, EMBEDDED), (EMBEDDED, REMOTE), (None, EMBEDDED)])
def test_embedded_ones_wait(
    read: Callable[..., Settings], before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    def named(section: Any) -> dict[str, Any]:
        return {"other": REMOTE} | ({"default": section} if section else {})

    old, new = read(nameservers=named(before)), read(nameservers=named(after))
    assert change(old, new) == (old, (), ("nameservers.default",))
    assert change(new, old) == (new, (), ("nameservers.default",))


def test_a_section_with_settings_that_wait_waits_as_a_whole(read: Callable[..., Settings]) -> None:
    old, new = read(), read(store={"kind": "etcd", "timeout": 7, "etcd": {"endpoints": ["etcd:2379"]}})
    changed = change(old, new)
    assert changed.waiting == ("store.kind", "store.etcd")
    assert (changed.settings.store.timeout, changed.settings.store.etcd) == (7, None)


def test_passwords_are_live_and_endpoints_are_not(read: Callable[..., Settings], tmp_path: Path) -> None:
    def etcd(endpoint: str) -> dict[str, Any]:
        return {"endpoints": [endpoint], "user": "u", "password_file": "password"}

    old = read(store={"kind": "etcd", "etcd": etcd("one:2379")})
    (tmp_path / "password").write_text("of the second")
    changed = change(old, read(store={"kind": "etcd", "etcd": etcd("two:2379")}))
    assert changed.applied == ("store.etcd.password_file",)
    assert changed.waiting == ("store.etcd.endpoints",)
    assert changed.settings.store.etcd is not None
    assert changed.settings.store.etcd.password_file is not None
    assert changed.settings.store.etcd.password_file.content.decode() == "of the second"


def test_what_waits_is_one_list() -> None:
    named = list(needing_restart())
    assert {setting.key for setting in settings() if setting.row.count("| restart |")} == set(named)
    for live in ("log.level", "trusted_proxies", "listen.tls.key", "admin.token_file", "publish.timeout"):
        assert live not in named
    assert {"data", "workers", "listen.public", "store.etcd.endpoints", "node.name"} < set(named)


def test_digests_tell_sections_apart_and_hold_no_secret(
    read: Callable[..., Settings], tmp_path: Path
) -> None:
    first = digests(read(nameservers={"default": REMOTE}))
    (tmp_path / "a.key").write_text("c2VjcmV0LW9mLXRoZS1vdGhlci1rZXk=")
    (tmp_path / "b.key").write_text("c2VjcmV0LW9mLXRoZS1vdGhlci1rZXk=")
    moved = {**REMOTE, "key": {"secret_file": "b.key", "name": "a"}}
    assert digests(read(nameservers={"default": moved}, listen={"public": ":1"})) == first
    other = digests(read(nameservers={"default": {**REMOTE, "port": 5353}}, publish={"batch": 5}))
    assert {name for name in first if first[name] != other[name]} == {"nameservers", "publish"}
