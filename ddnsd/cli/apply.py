"""`ddnsd apply`."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from ..service.manifests import ManifestError, read_manifest
from .client import AdminClient
from .connection import AdminApiError
from .options import admin_api

_TIMEOUT = 600.0  # seconds: tens of thousands of documents


class _Source(NamedTuple):
    """Where a document comes from: the file, and its place there, from 1."""

    file: str
    place: int

    def __str__(self) -> str:
        return f"{self.file}, document {self.place}"


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    type=click.File("rb"),
    help="YAML or JSON of documents; - is the standard input. May be given several times.",
)
@admin_api
def apply(client: AdminClient, files: Sequence[Any]) -> None:
    """Create or change the resources that the documents describe.

    All of them are checked first. Up to 100 are applied at once or not at all; more go in chunks.
    """
    sources, documents = _read(files)
    if not documents:
        raise click.ClickException("there is no document in it")
    try:
        applied = client.call("POST", "/api/v1/apply", documents, timeout=_TIMEOUT)
    except AdminApiError as error:
        _print_results(error.answer.get("applied", {}))
        raise click.ClickException(_explain(error, sources)) from error
    _print_results(applied)
    if not applied["atomic"]:
        click.echo("Applied in several steps: it was more than one commit can hold.", err=True)


def _read(files: Sequence[Any]) -> tuple[list[_Source], list[Any]]:
    sources: list[_Source] = []
    documents: list[Any] = []
    for file in files:
        name = "standard input" if file.name in ("-", "<stdin>") else file.name
        try:
            found = read_manifest(file.read())
        except ManifestError as error:
            raise click.ClickException(f"{name}: {error}") from error
        sources += [_Source(name, place) for place in range(1, len(found) + 1)]
        documents += found
    return sources, documents


def _print_results(applied: Mapping[str, Any]) -> None:
    for result in applied.get("results", ()):
        click.echo(f"{result['kind'].lower()}/{result['name']} {result['result']}")


def _explain(error: AdminApiError, sources: Sequence[_Source]) -> str:
    """Return the failure with the file and place of each document it speaks of."""
    lines = [_locate(problem, sources) for problem in error.answer.get("problems", ())]
    if lines:
        return "\n".join(("nothing was applied:", *lines))
    return f"the rest was not applied: {error}" if "applied" in error.answer else str(error)


def _locate(problem: Mapping[str, Any], sources: Sequence[_Source]) -> str:
    place = str(sources[problem["document"] - 1])
    resource = problem.get("resource", "")
    message = problem["message"]
    if other := problem.get("other"):
        message = message.replace(f"document {other}", str(sources[other - 1]))
    parts = (f"{place} ({resource})" if resource else place, problem["field"], message)
    return ": ".join(part for part in parts if part)
