"""A client of the admin API, with errors that say what to do, and the options that commands share."""

import contextlib
import functools
import http.client
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from ddnsd.config import is_remote
from ddnsd.model.resources import Kind
from ddnsd.telemetry.logging import printable

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


_TIMEOUT = 60.0  # seconds for one answer
_PART = 65_536  # bytes
_NOT_ADMIN = "is not the admin API: use the address of listen.admin"


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
        self._connection = Connection(server)
        self._token = _read_token(token_file)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON answer of a GET."""
        return self.call("GET", path, query=query)

    def pages(self, path: str, **query: object) -> Iterator[Any]:
        """Yield the items of a listing, asking for each page as it is wanted."""
        cursor = ""
        while True:
            page = self.get(path, **query, **{"continue": cursor})
            yield from page["items"]
            cursor = page["metadata"]["continue"]
            if not cursor:
                return

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
        target = path + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else msgspec.json.encode(body)
        return self._answer(*self._exchange(method, target, content, "application/json", timeout))

    def download(self, path: str, timeout: float) -> Iterator[bytes]:
        """Yield the body of a GET as it comes; `timeout` is for each part, in seconds.

        Raises:
            AdminApiError: no answer, another than 2xx, or one that broke off.
        """
        try:
            response = self._send("GET", path, None, "", timeout)
        except (OSError, http.client.HTTPException) as error:
            raise self._connection.unreachable(error) from error
        try:
            if response.status != http.HTTPStatus.OK:
                self._answer(response.status, response.read())
            while part := response.read(_PART):
                yield part
        except (OSError, http.client.HTTPException) as error:
            message = f"the answer of {self._server} broke off: what came of it is not whole: try again"
            raise AdminApiError(message) from error

    def upload(self, path: str, file: IO[bytes], content_type: str, timeout: float) -> Any:
        """Return the JSON answer to a POST of a file, which is sent as it is read.

        Raises:
            AdminApiError: no answer, or another than 2xx.
        """
        return self._answer(*self._exchange("POST", path, file, content_type, timeout))

    def _answer(self, status: int, content: bytes) -> Any:
        """Return an answer's JSON.

        Raises:
            AdminApiError: it is none of the admin API, or no 2xx.
        """
        answer = self._decode(status, content)
        if isinstance(answer, dict) and "success" in answer:  # as the update API and the health listener say
            raise AdminApiError(f"{self._server} {_NOT_ADMIN}")
        if status == 401:
            raise AdminApiError(
                f"{self._server} does not accept the admin token in {self._token_file}: name the right file "
                "with --admin-token-file or DDNSD_ADMIN_TOKEN_FILE (the server's is in its data folder)"
            )
        if not 200 <= status < 300:
            raise AdminApiError(str(answer.get("error", f"HTTP status {status}")), answer, status)
        return answer

    def _exchange(
        self, method: str, path: str, body: Body, content_type: str, timeout: float
    ) -> tuple[int, bytes]:
        try:
            response = self._send(method, path, body, content_type, timeout)
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._connection.unreachable(error) from error

    def _send(
        self, method: str, path: str, body: Body, content_type: str, timeout: float
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = content_type
        return self._connection.send(method, self._base + path, body, headers, timeout)

    def _decode(self, status: int, content: bytes) -> Any:
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise AdminApiError(f"{self._server} {_NOT_ADMIN} (it answered {status} without JSON)") from error


def resource_path(plural: str, name: str, *rest: str) -> str:
    """Return the path of a resource, or of what lies below it."""
    return "/".join(("/api/v1", plural, quote(name, safe=""), *rest))


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


Command = Callable[..., None]

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)(?P<unit>[smh]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}  # seconds
_LONGEST = 3600  # seconds


def admin_api(command: Command) -> Command:
    """Give a command the options that say where the admin API is; it gets an `AdminClient` first."""

    @click.option(
        "--server",
        envvar="DDNSD_SERVER",
        default="http://127.0.0.1:8081",
        show_default=True,
        show_envvar=True,
        help="URL of the admin API.",
    )
    @click.option(
        "--admin-token-file",
        envvar="DDNSD_ADMIN_TOKEN_FILE",
        default="data/admin-token",
        show_default=True,
        show_envvar=True,
        type=click.Path(path_type=Path),
        help="File with the admin token.",
    )
    @functools.wraps(command)
    def connected(*args: Any, server: str, admin_token_file: Path, **kwargs: Any) -> None:
        with contextlib.closing(AdminClient(server, admin_token_file)) as client:
            command(client, *args, **kwargs)

    return connected


class KindType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on only
    """A kind of resource: singular or plural, in any case."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Kind:
        """Return the kind."""
        if isinstance(value, Kind):
            return value
        kinds = {spelling: kind for kind in Kind for spelling in (kind.value.lower(), kind.plural)}
        if value.lower() not in kinds:
            self.fail(f"{value!r} is none of {', '.join(kind.plural for kind in Kind)}", param, ctx)
        return kinds[value.lower()]


KIND = KindType()


class DurationType(click.ParamType):  # type: ignore[type-arg]  # as above
    """A time span: seconds, or with a unit, such as 90, 1.5s or 2m; an hour at most."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is no duration such as 10s, 1m or 90", param, ctx)
        seconds = float(match["number"]) * _UNITS[match["unit"]]
        if seconds > _LONGEST:
            self.fail(f"{value!r} is more than an hour", param, ctx)
        return seconds


DURATION = DurationType()
