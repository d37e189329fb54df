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

_ALONE = "--acme-dns sets hosts, scope and secret: use it without --host, --scope and --secret-file"


@click.group()
def token() -> None:
    """Create tokens, with which clients may change hosts."""


@token.command(short_help="Create a token and print its secret.")
@click.argument("name")
@click.option("--account", required=True, help="Account that owns the token.")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    help="Host that it may change. Default: all hosts of the account. You can give several.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="Records that it may write: addresses, or the TXT records of ACME challenges. Default: both.",
)
@click.option("--expires", help="Time when it expires, such as 2027-11-01T00:00:00Z. Default: never.")
@click.option(
    "--acme-dns",
    "challenged",
    metavar="HOST",
    multiple=True,
    help="Host for which an acme-dns client may answer challenges, and do nothing else.",
)
@click.option(
    "--length",
    type=click.IntRange(SHORTEST_MADE_SECRET, MADE_SECRET_LENGTH),
    default=MADE_SECRET_LENGTH,
    show_default=True,
    help="Length of the secret; some routers cut a password after 31 or 32 characters.",
)
@click.option(
    "--secret-file",
    type=click.File("rb"),
    help=f"File with a secret to import, of {MIN_SECRET_LENGTH} characters or more; - is standard input.",
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
    """Create the token NAME and print its new secret, which is never shown again.

    Standard output gets the secret and nothing else. With --acme-dns it gets the registration instead, in
    the JSON that acme-dns clients store: write it into a file that only they can read.

    ddnsd does not store the secret. If you lose it, delete the token and create another.
    """
    if challenged:
        if hosts or scopes or secret_file:
            raise click.UsageError(_ALONE)
        hosts, scopes = challenged, (Scope.TXT,)
    sha256 = digest(_read_secret(secret_file)) if secret_file else None
    given = {"hosts": hosts, "scopes": scopes, "expires": expires, "sha256": sha256}
    spec = {"account": account} | {field: value for field, value in given.items() if value}
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
    """Return why a token of the account may not change the host now, with the remedy; "" if it may."""
    try:
        owner = client.get(resource_path("hosts", host))["spec"]["account"]
    except AdminApiError as error:  # the token exists all the same, and its secret was printed
        if error.status != HTTPStatus.NOT_FOUND:
            return f"it is not known whether the token may change {host}: {error}"
        return (
            f"the token can change nothing yet: there is no host {host}; create it for the account {account}"
        )
    if owner == account:
        return ""
    return (
        f"the token cannot change {host}, which is a host of the account {owner}, not of {account}: "
        f"make a token of {owner}, or give the host to {account}"
    )


def _registrations(created: Mapping[str, Any]) -> dict[str, Any]:
    """Return what acme-dns clients store, by host (acme-dns, README, "Register endpoint")."""
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
