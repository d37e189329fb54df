"""`ddnsd apply`."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from ddnsd.cli.client import AdminClient
from ddnsd.cli.connection import AdminApiError
from ddnsd.cli.options import admin_api
from ddnsd.model.resources import Kind
from ddnsd.service.manifests import ManifestError, read_manifest
from ddnsd.telemetry.printable import printable

_TIMEOUT = 600.0  # seconds: tens of thousands of documents
_PUBLISHED_WITHIN = 3.0  # seconds that are waited for the first word of a zone's nameserver
_FIRST_PAUSE = 0.1  # seconds between two looks; they double
_SHOWN = 5  # zones in one line


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
    for host in applied.get("withdrawn", ()):
        click.echo(f"{host}: its address is withdrawn: a client of its account sends the next one", err=True)
    if not applied["atomic"]:
        click.echo("Applied in several steps: it was more than one commit can hold.", err=True)
    _tell_unpublished(client, {each["name"] for each in applied["results"] if _is_changed_zone(each)})


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
        title = f"{result['kind'].lower()}/{result['name']}"
        click.echo(f"{title} {result['result']}")
        if warning := result.get("warning"):
            click.echo(f"warning: {title}: {warning}", err=True)


def _is_changed_zone(result: Mapping[str, str]) -> bool:
    return result["kind"] == Kind.ZONE and result["result"] != "unchanged"


def _tell_unpublished(client: AdminClient, zones: set[str]) -> None:
    """Warn of each of these zones that cannot be published, as soon as that is known; say what is not known.

    A zone is stored whether its nameserver has it or not; the leader asks that a moment later.
    """
    deadline = time.monotonic() + _PUBLISHED_WITHIN
    pause = _FIRST_PAUSE
    while zones:
        status = client.get("/api/v1/status")
        shown = {zone["zone"]: zone for zone in status["zones"] if zone["zone"] in zones}
        for zone in [name for name in sorted(shown) if shown[name]["error"]]:
            click.echo(printable(f"Warning: zone/{zone} is not published: {shown[zone]['error']}"), err=True)
        zones = {name for name, zone in shown.items() if not zone["error"] and not zone["verified"]}
        if zones and (status["leader"] is None or time.monotonic() > deadline):
            names = ", ".join(f"zone/{name}" for name in sorted(zones)[:_SHOWN])
            more = f" and {len(zones) - _SHOWN} more" if len(zones) > _SHOWN else ""
            why = "no node leads now" if status["leader"] is None else "`ddnsd status` shows how it goes on"
            click.echo(f"Not published yet: {names}{more}: {why}.", err=True)
            return
        if zones:
            time.sleep(pause)
            pause *= 2


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
