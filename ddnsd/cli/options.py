"""Options and arguments that several commands share."""

import contextlib
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ddnsd.cli.client import AdminClient
from ddnsd.model.resources import Kind

Command = Callable[..., None]

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[smh]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}  # seconds
_LONGEST = 3600  # seconds


def admin_api(command: Command) -> Command:
    """Give a command the options that say where the admin API is; it gets an `AdminClient` first."""

    @click.option(
        "--server",
        envvar="DDNSD_SERVER",
        default="http://127.0.0.1:8081",
        show_default=True,
        show_envvar=True,
        help="URL of the admin API.",
    )
    @click.option(
        "--admin-token-file",
        envvar="DDNSD_ADMIN_TOKEN_FILE",
        default="data/admin-token",
        show_default=True,
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="File with the admin token.",
    )
    @functools.wraps(command)
    def connected(*args: Any, server: str, admin_token_file: Path, **kwargs: Any) -> None:
        with contextlib.closing(AdminClient(server, admin_token_file)) as client:
            command(client, *args, **kwargs)

    return connected


class KindType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A kind of resource: singular or plural, in any case."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Kind:
        """Return the kind."""
        if isinstance(value, Kind):
            return value
        kinds = {spelling: kind for kind in Kind for spelling in (kind.value.lower(), kind.plural)}
        if value.lower() not in kinds:
            self.fail(f"{value!r} is none of {', '.join(kind.plural for kind in Kind)}", param, ctx)
        return kinds[value.lower()]


KIND = KindType()


class DurationType(click.ParamType):  # type: ignore[type-arg]  # as above
    """A time span: seconds, or with a unit, such as 90, 1.5s or 2m; an hour at most."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no duration such as 10s, 1m or 90", param, ctx)
        seconds = float(match["number"]) * _UNITS[match["unit"]]
        if seconds > _LONGEST:
            self.fail(f"{value!r} is more than an hour", param, ctx)
        return seconds


DURATION = DurationType()
