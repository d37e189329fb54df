"""The command line, after the habits of kubectl users. Exit status: 1 it failed, 2 it was called wrongly."""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from ddnsd import __version__


class LazyGroup(click.Group):
    """A group that imports a command when it is called (click's documented pattern): `module:attribute`."""

    def __init__(self, *args: Any, commands_in: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_in = commands_in

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(self._commands_in)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command, if there is one of this name."""
        place = self._commands_in.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=LazyGroup,
    commands_in={
        "apply": "ddnsd.cli.resources:apply",
        "audit": "ddnsd.cli.resources:audit",
        "check": "ddnsd.cli.serve:check",
        "delete": "ddnsd.cli.resources:delete",
        "drain": "ddnsd.cli.resources:drain",
        "export": "ddnsd.cli.archive:export",
        "get": "ddnsd.cli.resources:get",
        "history": "ddnsd.cli.resources:history",
        "import": "ddnsd.cli.archive:restore",
        "serve": "ddnsd.cli.serve:serve",
        "source": "ddnsd.cli.source:source",
        "status": "ddnsd.cli.resources:status",
        "token": "ddnsd.cli.token:token",
        "zone": "ddnsd.cli.resources:zone",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ddnsd")
def main() -> None:
    """Dynamic DNS that scales out."""


__all__ = ["main"]
