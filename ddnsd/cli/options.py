"""Options and arguments that several commands share."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..model.resources import Kind
from .client import AdminClient

Command = Callable[..., None]


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
