"""`ddnsd zone`: work on a zone that the leader does, asked for on any node."""

import click

from ddnsd.cli.client import AdminClient, resource_path
from ddnsd.cli.options import admin_api
from ddnsd.model.records import Work
from ddnsd.telemetry.printable import printable

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
