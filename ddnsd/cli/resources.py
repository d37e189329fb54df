"""The commands about resources and their zones: apply, get, delete, history, audit, status, zone, drain."""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import click

from ddnsd.cli.client import (
    AdminApiError,
    AdminClient,
    admin_api,
    duration,
    name_of,
    problem_line,
    read_kind,
    resource_path,
)
from ddnsd.cli.output import (
    Column,
    output_format,
    print_items,
    print_json,
    print_yaml,
    resource_columns,
)
from ddnsd.config.loader import YamlError
from ddnsd.model.records import Work
from ddnsd.model.resources import API_VERSION, Kind
from ddnsd.service.manifests import read_manifest
from ddnsd.telemetry.logging import printable

_TIMEOUT = 600.0  # seconds: tens of thousands of documents, or of an account's hosts
_PUBLISHED_WITHIN = 3.0  # seconds to wait until the leader has asked a zone's nameserver
_FIRST_PAUSE = 0.1  # seconds between two looks; they double
_SHOWN = 5  # zones in one line


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    type=click.File("rb"),
    help="File with documents in YAML or JSON; - is standard input. You can give several.",
)
@admin_api
def apply(client: AdminClient, files: Sequence[Any]) -> None:
    """Create or change the resources that the documents describe.

    All documents are checked first. Up to 100 are applied together or not at all; more are applied in chunks.
    """
    places, documents = _read(files)
    if not documents:
        raise click.ClickException("the input holds no document")
    try:
        applied = client.call("POST", "/api/v1/apply", documents, timeout=_TIMEOUT)
    except AdminApiError as error:
        _print_results(error.answer.get("applied", {}))
        raise click.ClickException(_explain(error, places)) from error
    _print_results(applied)
    for host in applied.get("withdrawn", ()):
        click.echo(
            f"{host}: its address is withdrawn, until a client of its account sends the next one", err=True
        )
    if not applied["atomic"]:
        click.echo("Applied in several steps: one commit cannot hold so many.", err=True)
    changed = (each for each in applied["results"] if each["result"] != "unchanged")
    _report_unpublished(client, {each["name"] for each in changed if each["kind"] == Kind.ZONE})


def _read(files: Sequence[Any]) -> tuple[list[str], list[Any]]:
    """Return the place of each document, for messages, and the documents."""
    places: list[str] = []
    documents: list[Any] = []
    for file in files:
        try:
            found = read_manifest(file.read())
        except YamlError as error:
            raise click.ClickException(f"{name_of(file)}: {error}") from error
        places += [f"{name_of(file)}, document {number}" for number in range(1, len(found) + 1)]
        documents += found
    return places, documents


def _print_results(applied: Mapping[str, Any]) -> None:
    for result in applied.get("results", ()):
        title = f"{result['kind'].lower()}/{result['name']}"
        click.echo(f"{title} {result['result']}")
        if warning := result.get("warning"):
            click.echo(f"warning: {title}: {warning}", err=True)


def _report_unpublished(client: AdminClient, zones: set[str]) -> None:
    """Warn of each of these zones that cannot be published, and report those of which it is not known yet.

    A zone is stored whether its nameserver has it or not; the leader finds out a moment later.
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
            why = "no node leads now" if status["leader"] is None else "`ddnsd status` shows the progress"
            click.echo(f"Not published yet: {names}{more}: {why}.", err=True)
            return
        if zones:
            time.sleep(pause)
            pause *= 2


def _explain(error: AdminApiError, places: Sequence[str]) -> str:
    """Return the failure with the file and place of each document that it names."""
    lines = [_locate(problem, places) for problem in error.answer.get("problems", ())]
    if lines:
        return "\n".join(("nothing was applied:", *lines))
    return f"the rest was not applied: {error}" if "applied" in error.answer else str(error)


def _locate(problem: Mapping[str, Any], places: Sequence[str]) -> str:
    message = problem["message"]
    if other := problem.get("other"):
        message = message.replace(f"document {other}", places[other - 1])
    return problem_line(places[problem["document"] - 1], {**problem, "message": message})


@click.command(short_help="Show all resources of a kind, or one.")
@click.argument("kind", type=read_kind)
@click.argument("name", required=False)
@output_format
@admin_api
def get(client: AdminClient, kind: Kind, name: str | None, output: str) -> None:
    """Show all resources of a KIND (zones, accounts, hosts, tokens), or the one with this NAME.

    `ddnsd apply` reads what `-o yaml` and `-o json` print.
    """
    path = f"/api/v1/{kind.plural}"
    documents = [client.get(resource_path(kind.plural, name))] if name else list(client.pages(path))
    if output == "json":
        listing = {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": documents}
        print_json(documents[0] if name else listing)
    else:
        print_items(output, resource_columns(kind, documents), documents, f"There are no {kind.plural}.")


@click.command()
@click.argument("kind", type=read_kind)
@click.argument("name")
@click.option("--cascade", is_flag=True, help="Also delete the hosts of an account or zone.")
@admin_api
def delete(client: AdminClient, kind: Kind, name: str, cascade: bool) -> None:
    """Delete the resource of this KIND and NAME. The records of a deleted host leave the nameserver."""
    query = {"cascade": "true"} if cascade else None
    gone = client.call("DELETE", resource_path(kind.plural, name), query=query, timeout=_TIMEOUT)
    deleted_kind, _, deleted_name = gone["deleted"].partition(" ")
    along = "" if kind is Kind.HOST else _along(gone["hosts"], gone["tokens"])
    click.echo(f"{deleted_kind.lower()}/{deleted_name} deleted{along}")


def _along(hosts: int, tokens: int) -> str:
    counts = ((Kind.HOST, hosts), (Kind.TOKEN, tokens))
    also = " and ".join(kind.counted(count) for kind, count in counts if count)
    return f", with {also}" if also else ""


_MAX_PAGE = 1000
_TO_THE_SECOND = 19  # characters of an instant
_SHOWN_CHANGES = 3  # changes in a row of the table
_limit = click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Show at most so many."
)


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
_DOCUMENT_CHANGES = (
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


@click.command(short_help="Show who changed which addresses.")
@click.argument("of", metavar="[HOST|ACCOUNT]", default="")
@output_format
@click.option("--refused", is_flag=True, help="Show the updates that this server has refused lately.")
@_limit
@admin_api
def history(client: AdminClient, of: str, output: str, refused: bool, limit: int) -> None:
    """Show the changes of a HOST, of all hosts of an ACCOUNT, or of all, the newest first.

    ddnsd keeps the newest 10 changes of a host, and 100,000 in all, even after the host is deleted. A change
    without a token was made by ddnsd itself. The history of one HOST also has the changes of its document, of
    type Host: those of `ddnsd audit` that name it.

    With --refused, show the updates that changed nothing, and the addresses that others left out. Each node
    keeps its last 1,000 in memory, and this shows those of one node.
    """
    query = {"of": of, "limit": min(limit, _MAX_PAGE)} | ({"refused": "true"} if refused else {})
    items = list(islice(client.pages("/api/v1/history", **query), limit))
    if refused:
        print_items(output, _REFUSED, items, "No attempt was refused lately.")
    else:
        columns = _DOCUMENT_CHANGES if any("change" in item for item in items) else _CHANGES
        print_items(output, columns, items, "There are no changes.")


def _counts(item: Mapping[str, Any]) -> str:
    return f"+{item['created']} ~{item['changed']} -{item['deleted']}"


def _changes(item: Mapping[str, Any]) -> str:
    changes = item["changes"]
    shown = [f"{change['title']} {change['what']}{_fields(change)}" for change in changes[:_SHOWN_CHANGES]]
    more = item["created"] + item["changed"] + item["deleted"] - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "")


def _fields(change: Mapping[str, Any]) -> str:
    return f" ({'; '.join(change['fields'])})" if change.get("fields") else ""


_AUDIT = (
    _TIME,
    Column("BY", lambda item: item["by"] or "-"),
    Column("FROM", lambda item: item["address"] or "-"),
    Column("WAY", lambda item: item["way"] or "-"),
    Column("COUNT", _counts),
    Column("CHANGES", _changes),
    Column("WITHDRAWN", lambda item: ", ".join(item["withdrawn"]) or "-"),
)


@click.command(short_help="Show who changed which resources.")
@output_format
@_limit
@admin_api
def audit(client: AdminClient, output: str, limit: int) -> None:
    """Show the changes of resources, one line for each commit, the newest first.

    BY is the name of the admin token, or of the Kubernetes source. COUNT shows how many resources were
    created (+), changed (~) and deleted (-). WITHDRAWN lists the hosts that lost their addresses. ddnsd keeps
    the newest 10,000 commits. -o yaml and -o json name 20 resources of each.
    """
    items = list(islice(client.pages("/api/v1/audit", limit=min(limit, _MAX_PAGE)), limit))
    print_items(output, _AUDIT, items, "Nothing was changed.")


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="Format of the output.",
)
@admin_api
def status(client: AdminClient, output: str) -> None:
    """Show the state of the installation."""
    shown = client.get("/api/v1/status")
    if output == "json":
        print_json(shown)
    else:
        print_yaml([shown])


_HELP = {
    Work.CHECK: "Compare ZONE on its nameserver with the store, and report the differences.",
    Work.REPAIR: "Compare ZONE on its nameserver with the store, and publish the differences.",
    Work.TAKEOVER: (
        "Claim the fence of ZONE from the installation that holds it, and take over the records at the names "
        "of its hosts. First make sure that the other installation is gone; `ddnsd zone check` shows these "
        "records."
    ),
    Work.FORGET: "Stop trying to remove ZONE, which was deleted or moved, from a nameserver that refuses to "
    "remove its records: they stay there.",
}
_SHORT_HELP = {
    Work.CHECK: "Report how a zone differs from the store.",
    Work.REPAIR: "Publish the differences of a zone.",
    Work.TAKEOVER: "Claim a zone from another installation.",
    Work.FORGET: "Stop removing a zone from its old nameserver.",
}
_EXIT_CODE = click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs, like git diff.")
_ADOPT = click.option(
    "--adopt",
    is_flag=True,
    help="Also take the names of its hosts if the zone cannot be transferred (AXFR).",
)
_ANSWER = 30.0  # seconds that the answer may take beyond the time that was asked for


@click.group()
def zone() -> None:
    """Check, repair, take over or forget a zone on its nameserver."""


def _command(work: Work) -> click.Command:
    @click.argument("name", metavar="ZONE")
    @click.option(
        "--timeout",
        type=click.IntRange(1, 600),
        default=60,
        show_default=True,
        help="Seconds to wait for the leader.",
    )
    @admin_api
    def ask(
        client: AdminClient, name: str, timeout: int, *, exit_code: bool = False, adopt: bool = False
    ) -> None:
        path = resource_path("zones", name, work)
        query = {"timeout": timeout} | ({"adopt": "true"} if adopt else {})
        done = client.call("POST", path, query=query, timeout=timeout + _ANSWER)
        for finding in done["findings"]:
            click.echo(printable(finding))
        if not done["findings"]:
            click.echo(f"zone/{done['zone']}: nothing to report", err=True)
        if exit_code and done["findings"]:
            raise SystemExit(1)

    command = click.command(work.value, help=_HELP[work], short_help=_SHORT_HELP[work])
    options = {Work.CHECK: _EXIT_CODE, Work.TAKEOVER: _ADOPT}
    return command(options[work](ask) if work in options else ask)


for _work in Work:
    zone.add_command(_command(_work))


@click.command(short_help="Make a node unready before it is stopped.")
@click.option(
    "--delay",
    type=duration,
    default="10s",
    show_default=True,
    help="Time for which the node goes on serving before this returns: 10s, 1m, or seconds; at most 1h.",
)
@admin_api
def drain(client: AdminClient, delay: float) -> None:
    """Make the node unready, so that it gets no more traffic, and return after the delay. Then stop it.

    /readyz and the public /healthz answer 503 at once. The node goes on serving, and closes each connection
    after its next answer. It stays unready until you stop it; only a restart makes it ready again.
    """
    done = client.call("POST", "/api/v1/drain", {"delay": delay}, timeout=delay + _ANSWER)
    click.echo(f"Not ready for {done['waited']:g} s now, and until it is stopped.")
