"""Takes a changed configuration over while the process runs: all of it, or, if anything is wrong, nothing.

See docs/decisions/0012-reload.md. A file has changed when it was written or renamed, or when a link to it
leads elsewhere: Kubernetes mounts a ConfigMap or a Secret as links through one link, `..data`, and changes it
by replacing that. Neither the path nor the file behind it is written to then, and a time of change proves
nothing.
"""

import asyncio
import hashlib
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

from ddnsd.aio import Trigger
from ddnsd.app.admin_token import AdminTokenError, admin_credentials, admin_token_files, read_token_digest
from ddnsd.config import (
    ConfigError,
    Settings,
    SettingsChange,
    SettingsSource,
    TlsSettings,
    change,
    digests,
    setting_problem,
    warnings,
)
from ddnsd.model.records import Configured
from ddnsd.web.admin import AdminCredential


class Configuration(NamedTuple):
    """The settings in force, and what was made of the files that they name.

    `admin_tokens` are known by their SHA-256; `tls` is for the public listener, None for plain HTTP.
    """

    settings: Settings
    admin_tokens: tuple[AdminCredential, ...]
    tls: ssl.SSLContext | None


# A configuration that was read again, with what it changes, or why it cannot be taken over.
Reload = tuple[Configuration, SettingsChange] | ConfigError


def configuration(settings: Settings, admin_tokens: tuple[AdminCredential, ...]) -> Configuration:
    """Return what a process starts with.

    Raises:
        OSError: a TLS file cannot be read any more.
    """
    return Configuration(settings, admin_tokens, _tls_context(settings.listen.tls))


def read(source: SettingsSource, before: Settings) -> tuple[Reload, frozenset[Path]]:
    """Read all files again and compare them with the settings in force; this changes nothing.

    Return also which files that depends on.
    """
    new, files = source.read()
    if isinstance(new, ConfigError):
        return new, files
    changed = change(before, new)
    files |= admin_token_files(changed.settings)
    try:
        tokens = admin_credentials(changed.settings, read_token_digest)
        found = configuration(changed.settings, tokens)
    except AdminTokenError as error:
        return ConfigError(str(source), (setting_problem("admin", "", str(error)),)), files
    except OSError as error:  # it was replaced since it was checked
        return ConfigError(str(source), (setting_problem("listen.tls", "", str(error)),)), files
    return (found, changed), files


def _tls_context(tls: TlsSettings | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate.path, tls.key.path)
    return context


def look(paths: Iterable[Path]) -> Mapping[Path, tuple[str, str]]:
    """Look at each file once.

    Return what each path leads to, links resolved, and the SHA-256 of that file or why it cannot be read.
    """
    return {path: _look_at(path) for path in paths}


def _look_at(path: Path) -> tuple[str, str]:
    try:
        return os.path.realpath(path), hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return "", str(error.strerror)


_log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_SETTLE_SECONDS = 0.5  # in which nothing may move around a reading: who writes in place is done by then
_SHOWN = 200  # characters of a reason in `ddnsd status`


class Reloader:
    """Looks at the files for as long as the process runs. Run `run()` as a task of its own.

    `configuration` is the one in force. Who follows is called, in one turn of the event loop, after each
    reading that was taken over or refused.
    """

    def __init__(
        self,
        source: SettingsSource,
        configuration: Configuration,
        *,
        every: float = _LOOK_SECONDS,
        settle: float = _SETTLE_SECONDS,
    ) -> None:
        """Look `every` so many seconds. Around a reading nothing may move for `settle` seconds."""
        self.configuration = configuration
        self._source = source
        self._files = frozenset({source.path} if source.path else ())
        self._seen: Mapping[Path, tuple[str, str]] | None = None  # at the last reading
        self._followers: list[Callable[[], None]] = []
        self._every, self._settle = every, settle
        self._trigger = Trigger()
        self.since = datetime.now(UTC)  # when it came into force
        self._count: Callable[[str], None] = lambda _: None
        self._refused = ""
        self._waiting: tuple[str, ...] = ()

    @property
    def configured(self) -> Configured:
        """What this node says of its configuration."""
        settings = self.configuration.settings
        return Configured(self.since, digests(settings), self._refused, self._waiting)

    def follow(self, follower: Callable[[], None]) -> None:
        """Call this after each reading that was taken over or refused, and now."""
        self._followers.append(follower)
        follower()

    def on_outcome(self, count: Callable[[str], None]) -> None:
        """Call this with `applied` or `refused` after each reading of changed files."""
        self._count = count

    def look_now(self) -> None:
        """Look at the files without waiting for the next time."""
        _log.info("config.look")  # the operator sees that it was heard, also if nothing has changed
        self._trigger.due()

    async def run(self) -> None:
        """Look again and again. Never returns."""
        path = self._source.path
        if path is not None and path.exists() and not path.is_file():  # a pipe: it can be read only once
            _log.info("config.not_watched", file=str(path))
            await asyncio.get_running_loop().create_future()
        self._trigger.due()
        await self._trigger.run(self._take_changes, every=self._every)

    async def _take_changes(self) -> None:
        if await asyncio.to_thread(look, self._files) != self._seen:
            found = await self._read()
            if isinstance(found, ConfigError):
                self._refuse(found)
            else:
                self._take_over(*found)

    async def _read(self) -> Reload:
        """Read until all files were the same before the reading and for some time after it.

        So what was read is of one moment: no half of a file, and no two generations of a mounted volume.
        """
        while True:
            before = await asyncio.to_thread(look, self._files)
            found, files = await asyncio.to_thread(read, self._source, self.configuration.settings)
            await asyncio.sleep(self._settle)
            if files == self._files and await asyncio.to_thread(look, self._files) == before:
                self._seen = before
                return found
            self._files = files

    def _refuse(self, error: ConfigError) -> None:
        for problem in error.problems:
            _log.error(
                "config.refused",
                file=error.source,
                setting=problem.field,
                value=problem.value,
                remedy=f"{problem.remedy}; until then the configuration before stays in force",
            )
        first, *others = map(str, error.problems)
        more = f" (and {len(others)} more)" if others else ""
        self._refused = f"{first[:_SHOWN]}{more}"
        self._tell("refused")

    def _take_over(self, found: Configuration, changed: SettingsChange) -> None:
        applied = changed.applied
        if found.admin_tokens != self.configuration.admin_tokens:
            is_first = found.admin_tokens[0] != self.configuration.admin_tokens[0]
            setting = "admin.token_file" if is_first else "admin.tokens"
            applied = (*dict.fromkeys((*applied, setting)),)
        if not applied and not self._refused and changed.waiting == self._waiting:
            return  # the first look, or a file that was only touched
        known = set(warnings(self.configuration.settings))
        self.configuration = found
        self.since, self._refused, self._waiting = datetime.now(UTC), "", changed.waiting
        self._tell("applied")
        _log.info("config.applied", settings=applied)
        if changed.waiting:
            _log.warning("config.needs_restart", settings=changed.waiting)
        for warning in warnings(found.settings):
            if warning not in known:
                _log.warning("config.remark", remark=warning)

    def _tell(self, outcome: str) -> None:
        self._count(outcome)
        for follower in self._followers:
            follower()
