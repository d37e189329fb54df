"""`ddnsd export` and `ddnsd import`."""

import http
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from ddnsd import files
from ddnsd.cli.client import AdminApiError, AdminClient, admin_api, name_of, problem_line
from ddnsd.cli.output import all_counted, counted
from ddnsd.service.archive import ArchiveHeader, header_in
from ddnsd.service.registry import Restored

_EXPORT_TIMEOUT = 60.0  # seconds for each part
_STANDARD_OUTPUT = Path("-")


@click.command(short_help="Write all resources and addresses into one file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=_STANDARD_OUTPUT,
    show_default="standard output",
    help="The file; it is replaced when the export is complete.",
)
@admin_api
def export(client: AdminClient, output: Path) -> None:
    """Write all zones, accounts, hosts with their addresses, and tokens, as they are at one moment.

    `ddnsd import` reads the export, to move an installation or to restore a backup. The export has only the
    digest of a token: its secret goes on working, and is in no file.
    """
    header, parts = _download(client)
    if output == _STANDARD_OUTPUT:
        for part in parts:
            sys.stdout.buffer.write(part)
    else:
        _write(output, parts)
    addresses = counted(header.addresses, "address", "addresses")
    resources = all_counted(header.counts)
    click.echo(f"Exported {resources}, {addresses}, at revision {header.revision}.", err=True)
    if header.removals:
        records = counted(header.removals, "withdrawn record has", "withdrawn records have")
        click.echo(
            f"Warning: {records} still to leave a nameserver, which an export does not contain: "
            "let this installation finish before another takes its place.",
            err=True,
        )


def _download(client: AdminClient) -> tuple[ArchiveHeader, Iterator[bytes]]:
    """Return the header of the export, and all of its parts."""
    parts = client.download("/api/v1/export", _EXPORT_TIMEOUT)
    first = next(parts, b"")
    return header_in(first), chain((first,), parts)


def _write(output: Path, parts: Iterable[bytes]) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    try:
        files.write(output, parts)
    except files.NotAFileError as error:
        raise click.ClickException(
            f"cannot write {output}: {error.strerror}; without -o the export goes to standard output"
        ) from error
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror or error}") from error


_IMPORT_TIMEOUT = 3600.0  # seconds: a million hosts


@click.command("import", short_help="Read an export into an empty installation.")
@click.argument("file", type=click.File("rb"))
@admin_api
def restore(client: AdminClient, file: IO[bytes]) -> None:
    """Read the export in FILE (- is standard input) into an empty installation.

    The whole export is checked first, and nothing that exists is replaced. If an import breaks off, run it
    again, and it continues. The addresses are imported and published; tokens keep their secrets.
    """
    client.get("/api/v1/zones", limit=1)  # a refusal while the file is sent might only break the connection
    try:
        answer = client.upload("/api/v1/import", file, "application/yaml", _IMPORT_TIMEOUT)
    except AdminApiError as error:
        raise click.ClickException(_explain(error, name_of(file))) from error
    restored = msgspec.convert(answer, Restored)
    addresses = counted(restored.addresses, "address", "addresses")
    click.echo(f"Imported {all_counted(restored.created)}, {addresses}.")
    if any(msgspec.structs.astuple(restored.unchanged)):
        click.echo(f"Unchanged: {all_counted(restored.unchanged)}.")
    if restored.kept:
        kept = counted(restored.kept, "address", "addresses")
        click.echo(f"Kept, as clients have changed it since the export: {kept}.")
    _warn(restored)


def _warn(restored: Restored) -> None:
    """Warn of addresses that are published as they were, but that no client may send today."""
    if restored.unusable:
        unusable = counted(restored.unusable, "address", "addresses")
        click.echo(
            f"Warning: imported, though no host can have it and no client may send it: {unusable}.", err=True
        )
    if restored.unreachable:
        private = counted(restored.unreachable, "address", "addresses")
        setting = "which no client may send where addresses.private is refuse"
        click.echo(f"Warning: imported what the Internet cannot reach, {setting}: {private}.", err=True)


def _explain(error: AdminApiError, file: str) -> str:
    """Return the failure with the file and the place of each document that it names."""
    problems = [problem_line(_place(file, problem), problem) for problem in error.answer.get("problems", ())]
    if not error.status:
        return f"{error}\nIf a part was imported already, import the same export again to continue."
    if not problems:
        return str(error)
    head = "nothing was imported"
    if error.status == http.HTTPStatus.CONFLICT:
        head += f": {error}"
    return "\n".join((f"{head}:", *problems))


def _place(file: str, problem: Mapping[str, Any]) -> str:
    return f"{file}, document {problem['document']}" if problem.get("document") else file
