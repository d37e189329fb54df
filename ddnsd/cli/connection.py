"""One HTTP connection to the admin API, with errors that say what to do."""

import http.client
import ssl
from collections.abc import Mapping
from typing import IO, Any, TypeAlias
from urllib.parse import urlsplit

import click

from ddnsd.config import is_remote
from ddnsd.telemetry.printable import printable

_CONNECT_TIMEOUT = 5.0  # seconds, with the TLS handshake

Body: TypeAlias = bytes | IO[bytes] | None  # a file is sent as it is read


class AdminApiError(click.ClickException):
    """The admin API refused, or could not be asked. `answer` is its JSON, {} if there is none."""

    def __init__(self, message: str, answer: Mapping[str, Any] | None = None, status: int = 0) -> None:
        super().__init__("\n".join(map(printable, message.split("\n"))))  # it may quote what others wrote
        self.answer = answer or {}
        self.status = status  # of HTTP; 0 if it is not to the point


class Connection:
    """A connection to the server at a URL; it is opened by the first request."""

    def __init__(self, server: str) -> None:
        """Check the URL.

        Raises:
            click.UsageError: the server is no URL.
        """
        self._server = server
        self._http = _open(server)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(
        self, method: str, target: str, body: Body, headers: Mapping[str, str], timeout: float
    ) -> http.client.HTTPResponse:
        """Send a request; return the answer, whose body is still to be read. `timeout` is in seconds.

        Raises:
            AdminApiError: the server does not speak TLS.
            OSError, http.client.HTTPException: see `unreachable`.
        """
        if self._http.sock is None:
            self._connect()
        self._http.sock.settimeout(timeout)
        self._http.request(method, target, body, headers)
        return self._http.getresponse()

    def unreachable(self, error: Exception) -> AdminApiError:
        """Return what to tell about a request that got no answer."""
        return AdminApiError(
            f"cannot reach the admin API at {self._server} ({error or type(error).__name__}): "
            "is ddnsd running there? Start it with `ddnsd serve`, "
            "or name the right one with --server or DDNSD_SERVER"
        )

    def _connect(self) -> None:
        self._http.timeout = _CONNECT_TIMEOUT
        try:
            self._http.connect()
        except (ssl.SSLError, TimeoutError) as error:
            # Who does not speak TLS answers at once in plain HTTP, or waits for the rest of a "request".
            if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER" or "handshake" in str(error):
                raise AdminApiError(
                    f"no TLS with {self._server}: it speaks plain HTTP: write http://"
                ) from error
            raise


def _open(server: str) -> http.client.HTTPConnection:
    try:
        url = urlsplit(server)
        host, port = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https"):
        raise click.UsageError(f"--server: {server!r} is no URL such as http://127.0.0.1:8081")
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, port, context=ssl.create_default_context())
    if is_remote(server):
        click.echo(
            f"Warning: the admin token crosses the network in plain text to {server}: write https://, "
            "or reach it through an SSH tunnel",
            err=True,
        )
    return http.client.HTTPConnection(host, port)
