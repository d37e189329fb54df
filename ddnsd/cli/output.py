"""What commands print: tables, YAML, JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddnsd.model.addresses import RRTYPES
from ddnsd.model.expiry import Expiry
from ddnsd.model.resources import Kind
from ddnsd.service.archive import Counts
from ddnsd.service.manifests import write_manifest
from ddnsd.telemetry.logging import printable, printable_json

output_format = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "yaml", "json"]),
    default="table",
    show_default=True,
    help="Format of the output.",
)
_ANY_WIDTH = 1_000_000  # characters: into a file or a pipe nothing is cut


class Column(NamedTuple):
    """A column of a table: its title, and the text that it shows for a document."""

    title: str
    shown: Callable[[Mapping[str, Any]], str]


def _spec(title: str, field: str, absent: str = "-") -> Column:
    def shown(document: Mapping[str, Any]) -> str:
        value = document["spec"].get(field)
        if value is None:
            return absent
        if isinstance(value, list):
            return ",".join(value)
        return str(value).lower() if isinstance(value, bool) else str(value)

    return Column(title, shown)


def _address(family: str) -> Column:
    def shown(document: Mapping[str, Any]) -> str:
        ip: str = document["status"].get(family, {}).get("ip", "-")
        return ip

    return Column(family, shown)


def _host_state(document: Mapping[str, Any]) -> str:
    """Return the worst state of a host's records, and whether it expires soon."""
    status = document["status"]
    records = [status[type] for type in RRTYPES if type in status]
    states = [_worst(records)] if records else []
    expiry = status.get("state")
    if expiry == Expiry.EXPIRED or (expiry == Expiry.EXPIRING and records):
        states.append(expiry)
    return ",".join(states) or "-"


def _worst(records: Sequence[Mapping[str, Any]]) -> str:
    if any(record["error"] for record in records):
        return "error"
    return "pending" if any(record["published"] is None for record in records) else "published"


def _source(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    origin = "/".join(metadata[key] for key in ("source", "namespace") if key in metadata)
    return f"{origin} (held)" if metadata.get("held") else origin or "-"


_SOURCE = Column("SOURCE", _source)
_NAME = Column("NAME", lambda document: str(document["metadata"]["name"]))
_COLUMNS = {
    Kind.ZONE: (_NAME, _spec("NAMESERVER", "nameserver"), _spec("TTL", "ttl"), _spec("ENABLED", "enabled")),
    Kind.ACCOUNT: (_NAME, _spec("STATUS", "status"), _spec("UNTIL", "suspendedUntil")),
    Kind.HOST: (
        _NAME,
        _spec("ACCOUNT", "account"),
        _spec("TTL", "ttl", "zone"),
        _spec("ENABLED", "enabled"),
        _address("A"),
        _address("AAAA"),
        Column("STATE", _host_state),
    ),
    Kind.TOKEN: (
        _NAME,
        _spec("ACCOUNT", "account"),
        _spec("HOSTS", "hosts", "all"),
        _spec("SCOPES", "scopes", "all"),
        _spec("EXPIRES", "expires", "never"),
        _spec("DISABLED", "disabled"),
    ),
}


def resource_columns(kind: Kind, documents: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of resources; the source only if any of them has one."""
    is_managed = any("source" in document["metadata"] for document in documents)
    return (*_COLUMNS[kind], *((_SOURCE,) if is_managed else ()))


def print_items(
    output: str, columns: Sequence[Column], items: Sequence[Mapping[str, Any]], empty: str
) -> None:
    """Print a list; in place of an empty table, print the sentence `empty` on standard error."""
    if output == "yaml":
        print_yaml(items)
    elif output == "json":
        print_json(items)
    elif items:
        print_rows(columns, items)
    else:
        click.echo(empty, err=True)


def print_rows(columns: Sequence[Column], documents: Sequence[Mapping[str, Any]]) -> None:
    """Print a table: fitted to a terminal, in full and without styles elsewhere."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column.title, no_wrap=True)
    for document in documents:
        table.add_row(*(Text(printable(column.shown(document))) for column in columns))
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        terminal.print(table)
        return
    plain = Console(width=_ANY_WIDTH, highlight=False)
    with plain.capture() as captured:
        plain.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_yaml(documents: Sequence[Any]) -> None:
    """Print a YAML stream."""
    click.echo(write_manifest([*documents]), nl=False)


def print_json(value: Any) -> None:
    """Print JSON for readers."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    click.echo("\n".join(map(printable_json, lines)))


def counted(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count} {one if count == 1 else many}"


def all_counted(counts: Counts) -> str:
    """Return how many there are of each kind, in words."""
    return ", ".join(kind.counted(counts.of(kind)) for kind in Kind)
