"""`ddnsd serve`."""

import os
from pathlib import Path

import click

from .. import app
from ..config import ConfigError, load


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default="config.yaml",
    show_default=True,
    help="The configuration; DDNSD_… environment variables override it.",
)
def serve(config: Path) -> None:
    """Run a node until SIGTERM."""
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(app.serve(settings))
