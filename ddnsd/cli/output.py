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

FORMATS = click.Choice(["table", "yaml", "json"])
_ANY_WIDTH = 1_000_000  # characters: into a file or a pipe nothing is cut


class Column(NamedTuple):
    """A column of a table: its title, and what it shows of a document."""

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
    """Return the worst that can be said of a host's records, and whether it expires soon."""
    status = document["status"]
    records = [status[type] for type in RRTYPES if type in status]
    said = [_worst(records)] if records else []
    expiry = status.get("state")
    if expiry == Expiry.EXPIRED or (expiry == Expiry.EXPIRING and records):
        said.append(expiry)
    return ",".join(said) or "-"


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


def print_table(kind: Kind, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print a table of documents; the source only if any of them has one."""
    is_managed = any("source" in document["metadata"] for document in documents)
    print_rows((*_COLUMNS[kind], *((_SOURCE,) if is_managed else ())), documents)


def print_rows(columns: Sequence[Column], documents: Sequence[Mapping[str, Any]]) -> None:
    """Print a table: fitted to a terminal, whole and plain anywhere else."""
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


def print_yaml(documents: list[Any]) -> None:
    """Print a YAML stream."""
    click.echo(write_manifest(documents), nl=False)


def print_json(value: Any) -> None:
    """Print JSON for readers."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    click.echo("\n".join(map(printable_json, lines)))


def told(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count} {one if count == 1 else many}"


def told_counts(counts: Counts) -> str:
    """Return how many there are of each kind, in words."""
    return ", ".join(told(counts.of(kind), kind.value.lower(), kind.plural) for kind in Kind)
