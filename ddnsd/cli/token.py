"""`ddnsd token`."""

from typing import IO, Any

import click

from ..model.resources import API_VERSION, Kind
from ..model.tokens import (
    MAX_SECRET_LENGTH,
    MIN_SECRET_LENGTH,
    InvalidSecretError,
    digest,
    read_secret,
)
from .client import AdminClient
from .options import admin_api


@click.group()
def token() -> None:
    """Make tokens, by which clients may change hosts."""


@token.command(short_help="Create a token and print its secret.")
@click.argument("name")
@click.option("--account", required=True, help="Whose token it is.")
@click.option("--host", "hosts", multiple=True, help="A host it may change; without: all of the account's.")
@click.option("--expires", help="When it ends, such as 2027-11-01T00:00:00Z; without, never.")
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
    expires: str | None,
    secret_file: IO[bytes] | None,
) -> None:
    """Create the token NAME and print its new secret, the only time it is shown.

    The secret stands alone on the standard output.

    The secret is stored nowhere; who loses it deletes the token and creates another.
    """
    spec: dict[str, Any] = {"account": account}
    if hosts:
        spec["hosts"] = list(hosts)
    if expires:
        spec["expires"] = expires
    if secret_file:
        spec["sha256"] = digest(_read_secret(secret_file))
    document = {"apiVersion": API_VERSION, "kind": Kind.TOKEN, "metadata": {"name": name}, "spec": spec}
    created = client.call("POST", "/api/v1/tokens", document)
    click.echo(f"token/{name} created", err=True)
    if "secret" in created:
        click.echo(created["secret"])


def _read_secret(file: IO[bytes]) -> str:
    """Return the secret in the file; no message shows it."""
    try:
        return read_secret(file.read(8 * MAX_SECRET_LENGTH))
    except InvalidSecretError as error:
        raise click.UsageError(f"--secret-file: {error}") from error
