"""`ddnsd export`."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import click

from ddnsd import files
from ddnsd.cli.client import AdminClient
from ddnsd.cli.options import admin_api
from ddnsd.cli.output import told, told_counts
from ddnsd.service.archive import Header, header_in

_TIMEOUT = 60.0  # seconds for each part
_STANDARD_OUTPUT = Path("-")


@click.command(short_help="Write everything into one file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=_STANDARD_OUTPUT,
    show_default="standard output",
    help="The file; it is replaced once the export is whole.",
)
@admin_api
def export(client: AdminClient, output: Path) -> None:
    """Write all zones, accounts, hosts with their addresses, and tokens, as they are at one moment.

    `ddnsd import` reads it: to move an installation, or out of a backup. Of a token it has the digest
    only, so its secret goes on working and stands nowhere.
    """
    header, parts = _download(client)
    if output == _STANDARD_OUTPUT:
        for part in parts:
            sys.stdout.buffer.write(part)
    else:
        _write(output, parts)
    addresses = told(header.addresses, "address", "addresses")
    resources = told_counts(header.counts)
    click.echo(f"Exported {resources}, {addresses}, at revision {header.revision}.", err=True)
    if header.removals:
        records = told(header.removals, "withdrawn record has", "withdrawn records have")
        click.echo(
            f"Warning: {records} still to leave a nameserver, which an export does not say: "
            "let this installation finish before another takes its place.",
            err=True,
        )


def _download(client: AdminClient) -> tuple[Header, Iterator[bytes]]:
    """Return the header of the export, and all of its parts."""
    parts = client.download("/api/v1/export", _TIMEOUT)
    first = next(parts, b"")
    return header_in(first), chain((first,), parts)


def _write(output: Path, parts: Iterable[bytes]) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    try:
        files.write(output, parts)
    except files.NotAFileError as error:
        raise click.ClickException(
            f"cannot write {output}: {error.strerror}; without -o the export goes to standard output"
        ) from error
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror or error}") from error
