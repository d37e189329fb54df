"""The command line, after the habits of kubectl users. Exit status: 1 it failed, 2 it was called wrongly."""

import click

from ddnsd import __version__
from ddnsd.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_in={
        "apply": "ddnsd.cli.apply:apply",
        "audit": "ddnsd.cli.audit:audit",
        "check": "ddnsd.cli.check:check",
        "delete": "ddnsd.cli.delete:delete",
        "drain": "ddnsd.cli.drain:drain",
        "export": "ddnsd.cli.export:export",
        "get": "ddnsd.cli.get:get",
        "history": "ddnsd.cli.history:history",
        "import": "ddnsd.cli.restore:restore",
        "serve": "ddnsd.cli.serve:serve",
        "source": "ddnsd.cli.source:source",
        "status": "ddnsd.cli.status:status",
        "token": "ddnsd.cli.token:token",
        "zone": "ddnsd.cli.zone:zone",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ddnsd")
def main() -> None:
    """Dynamic DNS that scales out."""


__all__ = ["main"]
