"""`ddnsd check`."""

import os
from pathlib import Path

import click

from ..config import ConfigError, load


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def check(config: Path) -> None:
    """Check the configuration in the file CONFIG, with the environment; all mistakes at once."""
    try:
        load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{config} is in order.")
