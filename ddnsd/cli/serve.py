"""`ddnsd serve`."""

import os
from pathlib import Path

import click

from .. import app
from ..config import ConfigError, Source, load

_DEFAULT = Path("config.yaml")


@click.command()
@click.option(
    "--config",
    envvar="DDNSD_CONFIG",
    type=click.Path(path_type=Path),
    show_default="config.yaml; if there is none, every setting has its default",
    show_envvar=True,
    help="The configuration; DDNSD_… environment variables override it.",
)
def serve(config: Path | None) -> None:
    """Run a node until SIGTERM."""
    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(app.serve(Source(config, os.environ), settings))
