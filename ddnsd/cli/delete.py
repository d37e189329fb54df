"""`ddnsd delete`."""

import click

from ddnsd.cli.client import AdminClient, resource_path
from ddnsd.cli.options import KIND, admin_api
from ddnsd.model.resources import Kind

_TIMEOUT = 600.0  # seconds: an account with tens of thousands of hosts


@click.command()
@click.argument("kind", type=KIND)
@click.argument("name")
@click.option("--cascade", is_flag=True, help="Delete the hosts of an account or zone too.")
@admin_api
def delete(client: AdminClient, kind: Kind, name: str, cascade: bool) -> None:
    """Delete the resource of this KIND and NAME. A deleted host's records leave the nameserver."""
    query = {"cascade": "true"} if cascade else None
    gone = client.call("DELETE", resource_path(kind.plural, name), query=query, timeout=_TIMEOUT)
    deleted_kind, _, deleted_name = gone["deleted"].partition(" ")
    along = "" if kind is Kind.HOST else _along(gone["hosts"], gone["tokens"])
    click.echo(f"{deleted_kind.lower()}/{deleted_name} deleted{along}")


def _along(hosts: int, tokens: int) -> str:
    """Say what else has gone."""
    counts = {"host": hosts, "token": tokens}.items()
    told = [f"{count} {noun}" if count == 1 else f"{count} {noun}s" for noun, count in counts if count]
    return f", with {' and '.join(told)}" if told else ""
