"""`ddnsd status`."""

import click

from ddnsd.cli.client import AdminClient
from ddnsd.cli.options import admin_api
from ddnsd.cli.output import print_json, print_yaml


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to print.",
)
@admin_api
def status(client: AdminClient, output: str) -> None:
    """Show how the installation is doing."""
    shown = client.get("/api/v1/status")
    if output == "json":
        print_json(shown)
    else:
        print_yaml([shown])
