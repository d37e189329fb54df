"""`ddnsd serve`."""

import os
from pathlib import Path

import click

from ddnsd import app
from ddnsd.config import ConfigError, Source, load

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
@click.option(
    "--role",
    type=click.Choice([role.value for role in app.Role]),
    default=app.Role.NODE.value,
    show_default=True,
    help="node: answers and publishes. controller: puts the custom resources of Kubernetes into the store, "
    "and listens for health checks only. all: both, for the embedded store.",
)
def serve(config: Path | None, role: str) -> None:
    """Run a node, or a controller of custom resources, until SIGTERM."""
    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(app.serve(Source(config, os.environ), settings, app.Role(role)))
