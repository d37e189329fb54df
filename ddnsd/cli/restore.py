"""`ddnsd import`. The module has another name, as `import` is Python's."""

import http
from collections.abc import Mapping
from typing import IO, Any

import click
import msgspec

from ddnsd.cli.client import AdminClient
from ddnsd.cli.connection import AdminApiError
from ddnsd.cli.options import admin_api
from ddnsd.cli.output import told, told_counts
from ddnsd.service.registry import Restored

_TIMEOUT = 3600.0  # seconds: a million hosts


@click.command("import", short_help="Put an export into an empty installation.")
@click.argument("file", type=click.File("rb"))
@admin_api
def restore(client: AdminClient, file: IO[bytes]) -> None:
    """Put the export in FILE (- is the standard input) into an installation that is empty.

    All of it is checked first; nothing that exists is replaced. One that broke off is started again and
    goes on. The addresses come along and are published anew; tokens keep their secrets.
    """
    client.get("/api/v1/zones", limit=1)  # who is refused while he sends would only see the connection break
    try:
        answer = client.upload("/api/v1/import", file, "application/yaml", _TIMEOUT)
    except AdminApiError as error:
        raise click.ClickException(_explain(error, file.name)) from error
    restored = msgspec.convert(answer, Restored)
    addresses = told(restored.addresses, "address", "addresses")
    click.echo(f"Imported {told_counts(restored.created)}, {addresses}.")
    if any(msgspec.structs.astuple(restored.unchanged)):
        click.echo(f"There already: {told_counts(restored.unchanged)}.")
    if restored.kept:
        kept = told(restored.kept, "address", "addresses")
        click.echo(f"Kept, as clients have changed it since the export: {kept}.")
    _warn(restored)


def _warn(restored: Restored) -> None:
    """Tell of addresses that are published as they were, but that no client may send today."""
    if restored.unusable:
        unusable = told(restored.unusable, "address", "addresses")
        click.echo(f"Warning: imported, though no client may send what no host has: {unusable}.", err=True)
    if restored.unreachable:
        private = told(restored.unreachable, "address", "addresses")
        setting = "which no client may send where addresses.private is refuse"
        click.echo(f"Warning: imported what the Internet cannot reach, {setting}: {private}.", err=True)


def _explain(error: AdminApiError, file: str) -> str:
    """Return the failure with the file and the place of each document that it speaks of."""
    name = "standard input" if file in ("-", "<stdin>") else file
    problems = [_line(name, problem) for problem in error.answer.get("problems", ())]
    if not error.status:
        return f"{error}\nIf a part was imported already, importing the same export again goes on."
    if not problems:
        return str(error)
    head = "nothing was imported"
    if error.status == http.HTTPStatus.CONFLICT:
        head += f": {error}"
    return "\n".join((f"{head}:", *problems))


def _line(name: str, problem: Mapping[str, Any]) -> str:
    place = f"{name}, document {problem['document']}" if problem.get("document") else name
    if resource := problem.get("resource"):
        place += f" ({resource})"
    return ": ".join(part for part in (place, problem["field"], problem["message"]) if part)
