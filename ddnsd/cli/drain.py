"""`ddnsd drain`."""

import click

from ddnsd.cli.client import AdminClient
from ddnsd.cli.options import DURATION, admin_api

_ANSWER = 30.0  # seconds that the answer may take beyond the delay


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
