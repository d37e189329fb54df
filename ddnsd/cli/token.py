"""`ddnsd token`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any

import click

from ddnsd.cli.client import AdminApiError, AdminClient, admin_api, resource_path
from ddnsd.cli.output import print_json
from ddnsd.model.names import challenge_name
from ddnsd.model.resources import (
    API_VERSION,
    MADE_SECRET_LENGTH,
    MAX_SECRET_LENGTH,
    MIN_SECRET_LENGTH,
    SHORTEST_MADE_SECRET,
    InvalidSecretError,
    Kind,
    Scope,
    digest,
    read_secret,
)

_ALONE = "--acme-dns says the hosts and the scope, and makes the secret: use it without theirs"


@click.group()
def token() -> None:
    """Make tokens, by which clients may change hosts."""


@token.command(short_help="Create a token and print its secret.")
@click.argument("name")
@click.option("--account", required=True, help="Whose token it is.")
@click.option("--host", "hosts", multiple=True, help="A host it may change; without: all of the account's.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may write: addresses, or the TXT record of ACME challenges; without: both.",
)
@click.option("--expires", help="When it ends, such as 2027-11-01T00:00:00Z; without, never.")
@click.option(
    "--acme-dns",
    "challenged",
    metavar="HOST",
    multiple=True,
    help="A host for which an acme-dns client may answer challenges, and do nothing else.",
)
@click.option(
    "--length",
    type=click.IntRange(SHORTEST_MADE_SECRET, MADE_SECRET_LENGTH),
    default=MADE_SECRET_LENGTH,
    show_default=True,
    help="Characters of the secret; some routers cut a password at 31 or 32.",
)
@click.option(
    "--secret-file",
    type=click.File("rb"),
    help=f"Import the secret in this file, of {MIN_SECRET_LENGTH} characters or more; - is standard input.",
)
@admin_api
def create(
    client: AdminClient,
    name: str,
    account: str,
    hosts: tuple[str, ...],
    scopes: tuple[str, ...],
    expires: str | None,
    challenged: tuple[str, ...],
    length: int,
    secret_file: IO[bytes] | None,
) -> None:
    """Create the token NAME and print its new secret, the only time it is shown.

    The secret stands alone on the standard output. With --acme-dns it is the registration instead, in JSON,
    as acme-dns clients store it: write it into a file that only they can read.

    The secret is stored nowhere; who loses it deletes the token and creates another.
    """
    if challenged:
        if hosts or scopes or secret_file:
            raise click.UsageError(_ALONE)
        hosts, scopes = challenged, (Scope.TXT,)
    sha256 = digest(_read_secret(secret_file)) if secret_file else None
    said = {"hosts": hosts, "scopes": scopes, "expires": expires, "sha256": sha256}
    spec = {"account": account} | {field: value for field, value in said.items() if value}
    document = {"apiVersion": API_VERSION, "kind": Kind.TOKEN, "metadata": {"name": name}, "spec": spec}
    created = client.call("POST", f"/api/v1/tokens?length={length}", document)
    click.echo(f"token/{name} created", err=True)
    if challenged:
        print_json(_registrations(created))
    elif "secret" in created:
        click.echo(created["secret"])
    for host in created["spec"].get("hosts", ()):
        if doubt := _doubt(client, host, account):
            click.echo(f"Warning: {doubt}", err=True)


def _doubt(client: AdminClient, host: str, account: str) -> str:
    """Return why a token of the account may not change the host now, and what to do; "" if it may."""
    try:
        owner = client.get(resource_path("hosts", host))["spec"]["account"]
    except AdminApiError as error:  # the token is there all the same, and its secret was shown
        if error.status != HTTPStatus.NOT_FOUND:
            return f"whether the token may change {host} is not known: {error}"
        return f"the token changes nothing yet: there is no host {host}; create it for the account {account}"
    if owner == account:
        return ""
    return (
        f"the token cannot change {host}, as that is a host of the account {owner}, not of {account}: "
        f"make a token of {owner}, or give the host to {account}"
    )


def _registrations(created: Mapping[str, Any]) -> dict[str, Any]:
    """Return what acme-dns clients store of a new token, by host (acme-dns, README, "Register endpoint")."""
    return {
        host: {
            "username": created["metadata"]["name"],
            "password": created["secret"],
            "fulldomain": challenge_name(host),
            "subdomain": host,
            "allowfrom": [],
        }
        for host in created["spec"]["hosts"]
    }


def _read_secret(file: IO[bytes]) -> str:
    """Return the secret in the file; no message shows it."""
    try:
        return read_secret(file.read(8 * MAX_SECRET_LENGTH))
    except InvalidSecretError as error:
        raise click.UsageError(f"--secret-file: {error}") from error
