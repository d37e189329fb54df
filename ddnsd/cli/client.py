"""A client of the admin API: one connection, errors that say what to do."""

import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

_TIMEOUT = 60.0  # seconds for one answer
_CONNECT_TIMEOUT = 5.0  # seconds, with the TLS handshake
_NOT_ADMIN = "is not the admin API: use the address of listen.admin"


class AdminApiError(click.ClickException):
    """The admin API refused, or could not be asked. `answer` is its JSON, {} if there is none."""

    def __init__(self, message: str, answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.answer = answer or {}


class AdminClient:
    """Calls the admin API of one server."""

    def __init__(self, server: str, token_file: Path) -> None:
        """Check the arguments; the connection is opened by the first call.

        Raises:
            click.UsageError: the server is no URL.
            AdminApiError: the token cannot be read.
        """
        self._server = server
        self._token_file = token_file
        self._base = urlsplit(server).path.rstrip("/")
        self._connection = _connection(server)
        self._token = _read_token(token_file)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON answer of a GET."""
        return self.call("GET", path, query=query)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, object] | None = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        """Return the JSON answer to a request; `body` is sent as JSON, `timeout` is in seconds.

        Raises:
            AdminApiError: no answer, or another than 2xx.
        """
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        status, content = self._exchange(method, target, body, timeout)
        answer = self._decode(status, content)
        if isinstance(answer, dict) and "success" in answer:  # as the update API and the health listener say
            raise AdminApiError(f"{self._server} {_NOT_ADMIN}")
        if status == 401:
            raise AdminApiError(
                f"{self._server} does not accept the admin token in {self._token_file}: name the right file "
                "with --admin-token-file or DDNSD_ADMIN_TOKEN_FILE (the server's is in its data folder)"
            )
        if not 200 <= status < 300:
            raise AdminApiError(str(answer.get("error", f"HTTP status {status}")), answer)
        return answer

    def _exchange(self, method: str, target: str, body: Any, timeout: float) -> tuple[int, bytes]:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            if self._connection.sock is None:
                self._connect()
            self._connection.sock.settimeout(timeout)
            self._connection.request(method, target, content, headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AdminApiError(
                f"cannot reach the admin API at {self._server} ({error or type(error).__name__}): "
                "is ddnsd running there? Start it with `ddnsd serve`, "
                "or name the right one with --server or DDNSD_SERVER"
            ) from error

    def _connect(self) -> None:
        self._connection.timeout = _CONNECT_TIMEOUT
        try:
            self._connection.connect()
        except (ssl.SSLError, TimeoutError) as error:
            # Who does not speak TLS answers at once in plain HTTP, or waits for the rest of a "request".
            if getattr(error, "reason", "") == "WRONG_VERSION_NUMBER" or "handshake" in str(error):
                raise AdminApiError(
                    f"no TLS with {self._server}: it speaks plain HTTP: write http://"
                ) from error
            raise

    def _decode(self, status: int, content: bytes) -> Any:
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise AdminApiError(f"{self._server} {_NOT_ADMIN} (it answered {status} without JSON)") from error


def resource_path(plural: str, name: str, *rest: str) -> str:
    """Return the path of a resource, or of what lies below it."""
    return "/".join(("/api/v1", plural, quote(name, safe=""), *rest))


def _connection(server: str) -> http.client.HTTPConnection:
    try:
        url = urlsplit(server)
        host, port = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https"):
        raise click.UsageError(f"--server: {server!r} is no URL such as http://127.0.0.1:8081")
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, port, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port)


def _read_token(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise AdminApiError(
            f"cannot read the admin token in {path} ({reason}): name its file with --admin-token-file or "
            "DDNSD_ADMIN_TOKEN_FILE; ddnsd makes it on its first start, in its data folder"
        ) from error
    if not token or not token.isprintable():
        raise AdminApiError(f"{path} holds no admin token: name the right file with --admin-token-file")
    return token
