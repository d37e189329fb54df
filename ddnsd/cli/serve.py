"""`ddnsd serve` and `ddnsd check`."""

import os
from pathlib import Path

import click

from ddnsd.config import EXPOSED_REMEDY, ConfigError, SettingsSource, exposures, load, warnings

_DEFAULT = Path("config.yaml")
_ROLES = ("node", "controller", "all")  # the values of app.Role


@click.command()
@click.option(
    "--config",
    envvar="DDNSD_CONFIG",
    type=click.Path(path_type=Path),
    show_default="config.yaml if it exists, else the default of every setting",
    show_envvar=True,
    help="The configuration file; DDNSD_… environment variables override it.",
)
@click.option(
    "--role",
    type=click.Choice(_ROLES),
    default=_ROLES[0],
    show_default=True,
    help="node: answer updates and publish them. controller: put the custom resources of Kubernetes into the "
    "store, and listen for health checks only. all: both, for the embedded store.",
)
def serve(config: Path | None, role: str) -> None:
    """Run a node, or a controller of custom resources, until SIGTERM."""
    from ddnsd import app  # here, as it takes half a second of CPU, for which `check` has no use

    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(app.serve(SettingsSource(config, os.environ), settings, app.Role(role)))


@click.command(short_help="Check a configuration file.")
@click.argument("config", type=click.Path(path_type=Path))
def check(config: Path) -> None:
    """Check the configuration in the file CONFIG, with the environment; all mistakes at once."""
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    for warning in warnings(settings):
        click.echo(f"Warning: {warning}", err=True)
    exposed = tuple(exposures(settings, owner=False))  # the user of this command may be another than ddnsd's
    if exposed and settings.data_check == "refuse":
        raise click.ClickException("; ".join(f"{each}; {EXPOSED_REMEDY}" for each in exposed))
    for each in exposed:
        click.echo(f"Warning: {each}", err=True)
    click.echo(f"{config} is in order.")
