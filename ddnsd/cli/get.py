"""`ddnsd get`."""

import click

from ddnsd.cli.client import AdminClient, resource_path
from ddnsd.cli.options import KIND, admin_api
from ddnsd.cli.output import FORMATS, print_json, print_table, print_yaml
from ddnsd.model.resources import API_VERSION, Kind


@click.command(short_help="Show all resources of a kind, or one.")
@click.argument("kind", type=KIND)
@click.argument("name", required=False)
@click.option("-o", "--output", type=FORMATS, default="table", show_default=True, help="How to print.")
@admin_api
def get(client: AdminClient, kind: Kind, name: str | None, output: str) -> None:
    """Show all resources of a KIND (zones, accounts, hosts, tokens), or the one of this NAME.

    What `-o yaml` and `-o json` print can be given to `ddnsd apply`.
    """
    path = f"/api/v1/{kind.plural}"
    documents = [client.get(resource_path(kind.plural, name))] if name else list(client.pages(path))
    if output == "yaml":
        print_yaml(documents)
    elif output == "json":
        print_json(
            documents[0] if name else {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": documents}
        )
    elif documents:
        print_table(kind, documents)
    else:
        click.echo(f"There are no {kind.plural}.", err=True)
