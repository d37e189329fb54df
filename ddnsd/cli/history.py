"""`ddnsd history`."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from ddnsd.cli.client import AdminClient
from ddnsd.cli.options import admin_api
from ddnsd.cli.output import FORMATS, Column, print_json, print_rows, print_yaml

_PATH = "/api/v1/history"
_MAX_PAGE = 1000
_TO_THE_SECOND = 19  # characters of an instant


def _plain(title: str, field: str) -> Column:
    return Column(title, lambda item: str(item[field]) or "-")


def _time(item: Mapping[str, Any]) -> str:
    return f"{item['at'][:_TO_THE_SECOND]}Z"


_TIME, _API = Column("TIME", _time), _plain("API", "api")
_TOKEN, _SOURCE = _plain("TOKEN", "token"), _plain("SOURCE", "source")
_CHANGES = (
    _TIME,
    _plain("HOST", "host"),
    _plain("TYPE", "type"),
    _plain("OLD", "old"),
    _plain("NEW", "new"),
    _API,
    _TOKEN,
    _SOURCE,
)
_OF_DOCUMENTS = (
    *_CHANGES,
    Column("CHANGE", lambda item: f"{item['change']} (by {item['by']})" if item.get("change") else "-"),
)
_REFUSED = (
    _TIME,
    _API,
    _plain("NAME", "name"),
    _plain("RESULT", "result"),
    _plain("LEFT OUT", "left_out"),
    Column("COUNT", lambda item: str(item["count"])),
    _TOKEN,
    _SOURCE,
)


@click.command(short_help="Show who changed what.")
@click.argument("of", metavar="[HOST|ACCOUNT]", default="")
@click.option("-o", "--output", type=FORMATS, default="table", show_default=True, help="How to print.")
@click.option("--refused", is_flag=True, help="Show the attempts that this server has refused lately.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many at most.")
@admin_api
def history(client: AdminClient, of: str, output: str, refused: bool, limit: int) -> None:
    """Show the changes of a HOST, of all hosts of an ACCOUNT, or of all; the newest first.

    A host's newest 10 changes are kept, 100,000 in all, also when the host is deleted. Where no token is
    named, ddnsd made the change itself. The history of one HOST has the changes of its document among
    them, of the type Host: those that `ddnsd audit` shows and that name it.

    With --refused, the attempts that changed nothing, and the addresses that were left out of others: of one
    node, which keeps the last 1,000 in memory.
    """
    query = {"of": of, "limit": min(limit, _MAX_PAGE)} | ({"refused": "true"} if refused else {})
    items = list(islice(client.pages(_PATH, **query), limit))
    if output == "yaml":
        print_yaml(items)
    elif output == "json":
        print_json(items)
    elif items:
        changes = _OF_DOCUMENTS if any("change" in item for item in items) else _CHANGES
        print_rows(_REFUSED if refused else changes, items)
    else:
        click.echo("No attempt was refused lately." if refused else "There are no changes.", err=True)
