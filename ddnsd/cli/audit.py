"""`ddnsd audit`."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from ddnsd.cli.client import AdminClient
from ddnsd.cli.options import admin_api
from ddnsd.cli.output import FORMATS, Column, print_json, print_rows, print_yaml

_PATH = "/api/v1/audit"
_MAX_PAGE = 1000
_TO_THE_SECOND = 19  # characters of an instant
_SHOWN = 3  # changes in a row of the table


def _counts(item: Mapping[str, Any]) -> str:
    return f"+{item['created']} ~{item['changed']} -{item['deleted']}"


def _changes(item: Mapping[str, Any]) -> str:
    changes = item["changes"]
    told = [f"{change['title']} {change['what']}{_fields(change)}" for change in changes[:_SHOWN]]
    more = item["created"] + item["changed"] + item["deleted"] - len(told)
    return ", ".join(told) + (f", and {more} more" if more else "")


def _fields(change: Mapping[str, Any]) -> str:
    return f" ({'; '.join(change['fields'])})" if change.get("fields") else ""


_COLUMNS = (
    Column("TIME", lambda item: f"{item['at'][:_TO_THE_SECOND]}Z"),
    Column("BY", lambda item: item["by"] or "-"),
    Column("FROM", lambda item: item["address"] or "-"),
    Column("WAY", lambda item: item["way"] or "-"),
    Column("COUNT", _counts),
    Column("CHANGES", _changes),
    Column("WITHDRAWN", lambda item: ", ".join(item["withdrawn"]) or "-"),
)


@click.command(short_help="Show who changed which resources.")
@click.option("-o", "--output", type=FORMATS, default="table", show_default=True, help="How to print.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@admin_api
def audit(client: AdminClient, output: str, limit: int) -> None:
    """Show the changes of resources, one line for each commit; the newest first.

    BY is the name of the admin token, or of the Kubernetes source. COUNT says how many resources were
    created (+), changed (~) and deleted (-); WITHDRAWN are the hosts whose addresses were taken away. The
    newest 10,000 are kept. -o yaml and -o json name 20 resources of each.
    """
    items = list(islice(client.pages(_PATH, limit=min(limit, _MAX_PAGE)), limit))
    if output == "yaml":
        print_yaml(items)
    elif output == "json":
        print_json(items)
    elif items:
        print_rows(_COLUMNS, items)
    else:
        click.echo("Nothing was changed.", err=True)
