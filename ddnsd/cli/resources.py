"""The commands about resources and their zones: apply, get, delete, history, audit, status, zone, drain."""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import click

from ddnsd.cli.client import DURATION, KIND, AdminApiError, AdminClient, admin_api, resource_path
from ddnsd.cli.output import FORMATS, Column, print_json, print_rows, print_table, print_yaml
from ddnsd.config.loader import YamlError
from ddnsd.model.records import Work
from ddnsd.model.resources import API_VERSION, Kind
from ddnsd.service.manifests import read_manifest
from ddnsd.telemetry.logging import printable

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
        except YamlError as error:
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


@click.command(short_help="Show all resources of a kind, or one.")
@click.argument("kind", type=KIND)
@click.argument("name", required=False)
@click.option("-o", "--output", type=FORMATS, default="table", show_default=True, help="How to print.")
@admin_api
def get(client: AdminClient, kind: Kind, name: str | None, output: str) -> None:
    """Show all resources of a KIND (zones, accounts, hosts, tokens), or the one of this NAME.

    What `-o yaml` and `-o json` print can be given to `ddnsd apply`.
    """
    path = f"/api/v1/{kind.plural}"
    documents = [client.get(resource_path(kind.plural, name))] if name else list(client.pages(path))
    if output == "yaml":
        print_yaml(documents)
    elif output == "json":
        print_json(
            documents[0] if name else {"apiVersion": API_VERSION, "kind": f"{kind}List", "items": documents}
        )
    elif documents:
        print_table(kind, documents)
    else:
        click.echo(f"There are no {kind.plural}.", err=True)


# seconds: an account with tens of thousands of hosts


@click.command()
@click.argument("kind", type=KIND)
@click.argument("name")
@click.option("--cascade", is_flag=True, help="Delete the hosts of an account or zone too.")
@admin_api
def delete(client: AdminClient, kind: Kind, name: str, cascade: bool) -> None:
    """Delete the resource of this KIND and NAME. A deleted host's records leave the nameserver."""
    query = {"cascade": "true"} if cascade else None
    gone = client.call("DELETE", resource_path(kind.plural, name), query=query, timeout=_TIMEOUT)
    deleted_kind, _, deleted_name = gone["deleted"].partition(" ")
    along = "" if kind is Kind.HOST else _along(gone["hosts"], gone["tokens"])
    click.echo(f"{deleted_kind.lower()}/{deleted_name} deleted{along}")


def _along(hosts: int, tokens: int) -> str:
    """Say what else has gone."""
    counts = {"host": hosts, "token": tokens}.items()
    told = [f"{count} {noun}" if count == 1 else f"{count} {noun}s" for noun, count in counts if count]
    return f", with {' and '.join(told)}" if told else ""


_HISTORY_PATH = "/api/v1/history"
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
    items = list(islice(client.pages(_HISTORY_PATH, **query), limit))
    if output == "yaml":
        print_yaml(items)
    elif output == "json":
        print_json(items)
    elif items:
        changes = _OF_DOCUMENTS if any("change" in item for item in items) else _CHANGES
        print_rows(_REFUSED if refused else changes, items)
    else:
        click.echo("No attempt was refused lately." if refused else "There are no changes.", err=True)


_AUDIT_PATH = "/api/v1/audit"

# characters of an instant
_SHOWN_CHANGES = 3  # changes in a row of the table


def _counts(item: Mapping[str, Any]) -> str:
    return f"+{item['created']} ~{item['changed']} -{item['deleted']}"


def _changes(item: Mapping[str, Any]) -> str:
    changes = item["changes"]
    told = [f"{change['title']} {change['what']}{_fields(change)}" for change in changes[:_SHOWN_CHANGES]]
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
    items = list(islice(client.pages(_AUDIT_PATH, limit=min(limit, _MAX_PAGE)), limit))
    if output == "yaml":
        print_yaml(items)
    elif output == "json":
        print_json(items)
    elif items:
        print_rows(_COLUMNS, items)
    else:
        click.echo("Nothing was changed.", err=True)


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to print.",
)
@admin_api
def status(client: AdminClient, output: str) -> None:
    """Show how the installation is doing."""
    shown = client.get("/api/v1/status")
    if output == "json":
        print_json(shown)
    else:
        print_yaml([shown])


_HELP = {
    Work.CHECK: "Compare ZONE on its nameserver with the store, and say what differs.",
    Work.REPAIR: "Compare ZONE on its nameserver with the store, and publish what differs.",
    Work.TAKEOVER: (
        "Claim the fence of ZONE from whoever holds it, and take what stands at the names of its hosts. "
        "Make sure first that the other is gone; `ddnsd zone check` says what stands there."
    ),
    Work.FORGET: "Give up removing ZONE, which was deleted or moved, from a nameserver that does not let its "
    "records go: they stay there.",
}
_SHORT_HELP = {
    Work.CHECK: "Say how a zone differs from the store.",
    Work.REPAIR: "Publish what differs.",
    Work.TAKEOVER: "Claim a zone from another installation.",
    Work.FORGET: "Give up removing a zone from where it was.",
}
_EXIT_CODE = click.option("--exit-code", is_flag=True, help="Exit with 1 if anything differs, as git diff.")
_ADOPT = click.option(
    "--adopt",
    is_flag=True,
    help="Take the names of its hosts also where the zone cannot be transferred (AXFR).",
)
_ANSWER = 30.0  # seconds that the answer may take beyond the leader's work


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


# seconds that the answer may take beyond the delay


@click.command(short_help="Make a node unready before it is stopped.")
@click.option(
    "--delay",
    type=DURATION,
    default="10s",
    show_default=True,
    help="How long the node serves on before this returns: 10s, 1m, or plain seconds; an hour at most.",
)
@admin_api
def drain(client: AdminClient, delay: float) -> None:
    """Make the node unready, so that it gets no more traffic, and return after the delay. Then stop it.

    /readyz and the public /healthz answer 503 at once, while the node serves on and ends each connection
    with its next answer. It stays so until it is stopped: only a new start makes it ready again.
    """
    done = client.call("POST", "/api/v1/drain", {"delay": delay}, timeout=delay + _ANSWER)
    click.echo(f"Not ready for {done['waited']:g} s now, and until it is stopped.")
