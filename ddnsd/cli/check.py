"""`ddnsd check`."""

import os
from pathlib import Path

import click

from ddnsd.config import EXPOSED_REMEDY, ConfigError, exposures, load, remarks


@click.command(short_help="Check a configuration file.")
@click.argument("config", type=click.Path(path_type=Path))
def check(config: Path) -> None:
    """Check the configuration in the file CONFIG, with the environment; all mistakes at once."""
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    for remark in remarks(settings):
        click.echo(f"Warning: {remark}", err=True)
    exposed = tuple(exposures(settings, owner=False))  # who runs this need not be ddnsd's user
    if exposed and settings.data_check == "refuse":
        raise click.ClickException("; ".join(f"{each}; {EXPOSED_REMEDY}" for each in exposed))
    for each in exposed:
        click.echo(f"Warning: {each}", err=True)
    click.echo(f"{config} is in order.")
