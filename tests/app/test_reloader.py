"""When a configuration is read anew, on real files."""

from pathlib import Path

import pytest

from ddnsd.app.reloader import Reloader, configuration
from ddnsd.config import SettingsSource
from ddnsd.config.settings import Settings
from ddnsd.model.resources import digest
from ddnsd.web.admin import AdminCredential, AdminScope, AdminTokens
from tests.tasks import running
from tests.waiting import until

FIRST, SECOND = "the-first-token-of-this-node", "the-second-token-of-this-node"
CREDENTIALS = (AdminCredential("admin", digest(FIRST), frozenset({AdminScope.ALL})),)


def settings_of(source: SettingsSource) -> Settings:
    settings, _ = source.read()
    assert isinstance(settings, Settings)
    return settings


def quick(source: SettingsSource) -> Reloader:
    return Reloader(source, configuration(settings_of(source), CREDENTIALS), every=0.05, settle=0.02)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(FIRST)
    return path


@pytest.mark.logs_errors
async def test_without_a_config_file_the_other_files_count(token_file: Path) -> None:
    source = SettingsSource(None, {"DDNSD_ADMIN_TOKEN_FILE": str(token_file)})
    reloader = quick(source)
    outcomes: list[str] = []
    reloader.on_outcome(outcomes.append)
    async with running(reloader.run()):
        token_file.write_text(SECOND)
        await until(lambda: reloader.configuration.admin_tokens[0].digest == digest(SECOND))
        token_file.write_text("short")
        await until(lambda: "shorter than" in reloader.configured.refused)
        token_file.write_text(SECOND)
        await until(lambda: not reloader.configured.refused)
    assert outcomes == ["applied", "refused", "applied"]


async def test_a_change_before_the_first_look_is_noticed(tmp_path: Path, token_file: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"admin: {{token_file: {token_file}}}")
    source = SettingsSource(path, {})
    reloader = quick(source)
    path.write_text(f"admin: {{token_file: {token_file}}}\nlog: {{level: debug}}")
    async with running(reloader.run()):
        await until(lambda: reloader.configuration.settings.log.level == "debug")


@pytest.mark.logs_errors
async def test_a_file_that_a_refused_configuration_names_is_looked_at(
    tmp_path: Path, token_file: Path
) -> None:
    path, key = tmp_path / "config.yaml", tmp_path / "key"
    path.write_text(f"admin: {{token_file: {token_file}}}")
    source = SettingsSource(path, {})
    reloader = quick(source)
    nameserver = "{kind: rfc2136, address: 192.0.2.53, key: {secret_file: key, name: a}}"
    async with running(reloader.run()):
        path.write_text(f"admin: {{token_file: {token_file}}}\nnameservers: {{other: {nameserver}}}")
        await until(lambda: "secret_file" in reloader.configured.refused)
        key.write_text("c2VjcmV0LW9mLXRoZS1maXJzdC1rZXk=")
        await until(lambda: "other" in reloader.configuration.settings.nameservers)
    assert reloader.configured.waiting == ("nameservers.default",), "the embedded one stays until a restart"


@pytest.mark.logs_errors
async def test_a_further_admin_token_comes_and_goes(tmp_path: Path, token_file: Path) -> None:
    path, other = tmp_path / "config.yaml", tmp_path / "ci"
    without = f"admin: {{token_file: {token_file}}}"
    path.write_text(without)
    source = SettingsSource(path, {})
    reloader = quick(source)
    tokens = AdminTokens(CREDENTIALS)
    reloader.follow(lambda: tokens.reconfigure(reloader.configuration.admin_tokens))

    def name_of(secret: str) -> str:
        credential = tokens.holder(f"Bearer {secret}")
        return credential.name if credential else ""

    async with running(reloader.run()):
        path.write_text(f"{without[:-1]}, tokens: [{{name: ci, file: ci, scopes: [accounts]}}]}}")
        await until(lambda: str(other) in reloader.configured.refused)
        assert name_of(FIRST) == "admin"
        other.write_text(SECOND)
        await until(lambda: name_of(SECOND) == "ci")
        other.write_text(FIRST)
        await until(lambda: "are the same" in reloader.configured.refused)
        path.write_text(without)
        await until(lambda: not reloader.configured.refused)
        assert (name_of(FIRST), name_of(SECOND)) == ("admin", "")
