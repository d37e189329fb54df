"""`admin.tokens`: further admin tokens, with names of their own and what they may do."""

from pathlib import Path

import pytest

from ddnsd.app.admin_token import AdminTokenError, admin_credentials, admin_token_digest, admin_token_files
from ddnsd.config import ConfigError, load
from ddnsd.config.settings import AdminTokenSettings, Settings
from ddnsd.model.resources import digest
from ddnsd.web.admin import AdminScope

TWO = """\
admin:
  tokens:
    - {name: ci, file: secrets/ci, scopes: [accounts]}
    - {name: bob, file: /elsewhere/bob, scopes: [zones, accounts]}
"""


def settings(folder: Path, text: str) -> Settings:
    path = folder / "config.yaml"
    path.write_text(text)
    return load(path, {})


def test_tokens_are_a_list(tmp_path: Path) -> None:
    assert settings(tmp_path, TWO).admin.tokens == (
        AdminTokenSettings(name="ci", file=tmp_path / "secrets/ci", scopes=("accounts",)),
        AdminTokenSettings(name="bob", file=Path("/elsewhere/bob"), scopes=("zones", "accounts")),
    )
    assert settings(tmp_path, "").admin.tokens == ()


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("{name: admin, file: a, scopes: [all]}", "give each token a name of its own"),
        ("{name: a b, file: a, scopes: [all]}", "write 1 to 63 letters"),
        ("{name: ci, scopes: [all]}", "missing: write the file"),
        ("{name: ci, file: a}", "missing: write `[read]`"),
        ("{name: ci, file: a, scopes: []}", "write 1 to 4 entries"),
        ("{name: ci, file: a, scopes: [root]}", "write read, zones, accounts or all"),
        ("{name: ci, file: a, scopes: [all], role: x}", "unknown key"),
        ("ci", "write a group of keys"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, token: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"admin\.tokens") as caught:
        settings(tmp_path, f"admin: {{tokens: [{token}]}}")
    assert told in str(caught.value)


def test_no_variable_is_for_a_list_of_groups(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown variable"):
        load(None, {"DDNSD_ADMIN_TOKENS": "ci"})


def test_files_are_made_where_there_are_none(tmp_path: Path) -> None:
    given = settings(tmp_path, TWO.replace("/elsewhere", str(tmp_path)))
    (tmp_path / "bob").write_text("a-token-of-bobs-own\n")
    first, ci, bob = admin_credentials(given, admin_token_digest)
    assert (first.name, first.scopes) == ("admin", frozenset({AdminScope.ALL}))
    assert (ci.name, ci.scopes) == ("ci", frozenset({AdminScope.ACCOUNTS}))
    assert ci.digest == digest((tmp_path / "secrets/ci").read_text().strip())
    assert (tmp_path / "secrets/ci").stat().st_mode & 0o777 == 0o600
    assert bob.digest == digest("a-token-of-bobs-own")
    assert admin_token_files(given) == {
        tmp_path / "data/admin-token",
        tmp_path / "secrets/ci",
        tmp_path / "bob",
    }


def test_two_names_for_one_token_are_refused(tmp_path: Path) -> None:
    given = settings(tmp_path, TWO.replace("/elsewhere/bob", "secrets/ci"))
    with pytest.raises(AdminTokenError, match="ci and bob are the same"):
        admin_credentials(given, admin_token_digest)
