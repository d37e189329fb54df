"""`ddnsd source`: the Kubernetes clusters that put resources into the store."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from ddnsd.cli.client import AdminClient, admin_api, resource_path
from ddnsd.cli.output import Column, all_counted, counted, output_format, print_items
from ddnsd.service.archive import Counts


def _counts(source: Mapping[str, Any]) -> str:
    return all_counted(msgspec.convert(source["resources"], Counts))


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
    """Manage the Kubernetes clusters that are sources of resources."""


@source.command("list", short_help="Show all sources.")
@output_format
@admin_api
def list_sources(client: AdminClient, output: str) -> None:
    """Show all sources: the Namespace that has the name, its controller, and what waits for your decision."""
    sources = client.get("/api/v1/sources")
    print_items(output, _COLUMNS, sources, "There are no sources.")


@source.command(short_help="Give a name to the cluster that asks for it, or its objects to this store.")
@click.argument("name")
@admin_api
def takeover(client: AdminClient, name: str) -> None:
    """Bind the source NAME to the Namespace that asks for it, after its cluster was rebuilt.

    The Namespace that had the name can change nothing any more. First make sure that it does not need to.

    If no Namespace asks, and the objects of NAME name another installation, this installation takes its
    place: use that when the other store was lost, and no backup is left to import.
    """
    bound = client.call("POST", resource_path("sources", name, "takeover"))
    click.echo(f"source/{name} is bound to {bound['uid']}")


@source.command(short_help="Free the resources of a lost cluster.")
@click.argument("name")
@admin_api
def release(client: AdminClient, name: str) -> None:
    """Free the source NAME. Its resources stay published, until you change or delete them.

    A controller that still runs takes the name again, so stop it first.
    """
    released = client.call("POST", resource_path("sources", name, "release"))
    click.echo(f"source/{name} released, it was {released['uid']}'s; left as they are: {_counts(released)}")


@source.command(short_help="Allow deletions that a controller holds back.")
@click.argument("name")
@admin_api
def prune(client: AdminClient, name: str) -> None:
    """Allow the deletions that the controller of the source NAME holds back because they are so many."""
    held = client.call("POST", resource_path("sources", name, "prune"))["held"]
    click.echo(f"source/{name}: {counted(held['count'], 'deletion', 'deletions')} allowed")
    for title in held["names"]:
        click.echo(f"  {title}")
    if more := held["count"] - len(held["names"]):
        click.echo(f"  and {more} more")
