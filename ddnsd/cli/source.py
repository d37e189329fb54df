"""`ddnsd source`: the Kubernetes clusters that put resources into the store."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from ddnsd.cli.client import AdminClient, admin_api, resource_path
from ddnsd.cli.output import FORMATS, Column, print_json, print_rows, print_yaml, told, told_counts
from ddnsd.service.archive import Counts


def _counts(source: Mapping[str, Any]) -> str:
    return told_counts(msgspec.convert(source["resources"], Counts))


def _held(source: Mapping[str, Any]) -> str:
    held = source["held"]
    if held is None:
        return "-"
    return f"{held['count']} allowed" if source["pruned"] else str(held["count"])


_COLUMNS = (
    Column("NAME", lambda source: str(source["name"])),
    Column("UID", lambda source: source["uid"] or "released"),
    Column("CONTROLLER", lambda source: source["controller"] or "-"),
    Column("RESOURCES", _counts),
    Column("HELD DELETIONS", _held),
    Column("CLAIMED BY", lambda source: source["claimant"] or "-"),
)


@click.group()
def source() -> None:
    """Decide about the Kubernetes clusters here."""


@source.command("list", short_help="Show all sources.")
@click.option("-o", "--output", type=FORMATS, default="table", show_default=True, help="How to print.")
@admin_api
def list_sources(client: AdminClient, output: str) -> None:
    """Show all sources: which Namespace has the name, what controls it, what waits for you."""
    sources = client.get("/api/v1/sources")
    if output == "yaml":
        print_yaml(sources)
    elif output == "json":
        print_json(sources)
    elif sources:
        print_rows(_COLUMNS, sources)
    else:
        click.echo("There are no sources.", err=True)


@source.command(short_help="Give a name to the cluster that has asked for it, or its objects to this store.")
@click.argument("name")
@admin_api
def takeover(client: AdminClient, name: str) -> None:
    """Bind the source NAME to the Namespace that has asked for it: after its cluster was built anew.

    Whoever had the name changes nothing any more. Make sure first that it shall not.

    Where nobody has asked, and the objects of NAME name another installation, this one takes its place: after
    that one's store was lost, and no backup is left to import.
    """
    bound = client.call("POST", resource_path("sources", name, "takeover"))
    click.echo(f"source/{name} is bound to {bound['uid']}")


@source.command(short_help="Free what a lost cluster has left.")
@click.argument("name")
@admin_api
def release(client: AdminClient, name: str) -> None:
    """Free the source NAME. What was written under it is published on, until somebody takes or deletes it.

    A controller that still runs takes the name again: stop it first.
    """
    released = client.call("POST", resource_path("sources", name, "release"))
    click.echo(f"source/{name} released, it was {released['uid']}'s; left as they are: {_counts(released)}")


@source.command(short_help="Allow deletions that a controller holds.")
@click.argument("name")
@admin_api
def prune(client: AdminClient, name: str) -> None:
    """Allow the deletions that the controller of the source NAME holds, as they are suspiciously many."""
    held = client.call("POST", resource_path("sources", name, "prune"))["held"]
    click.echo(f"source/{name}: {told(held['count'], 'deletion', 'deletions')} allowed")
    for title in held["names"]:
        click.echo(f"  {title}")
    if more := held["count"] - len(held["names"]):
        click.echo(f"  and {more} more")
