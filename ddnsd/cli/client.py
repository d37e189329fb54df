"""A client of the admin API, with errors that say what to do, and the options that commands share."""

import contextlib
import functools
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

import click
import httpx2
import msgspec

from ddnsd.config import is_remote
from ddnsd.model.resources import Kind
from ddnsd.telemetry.logging import printable

_CONNECT_TIMEOUT = 5.0  # seconds for TCP, and for the TLS handshake
_TIMEOUT = 60.0  # seconds for one answer
_PART = 65_536  # bytes
_NOT_ADMIN = "is not the admin API: use the address of listen.admin"


class AdminApiError(click.ClickException):
    """The admin API refused, or could not be reached. `answer` is its JSON, {} if there is none."""

    def __init__(self, message: str, answer: Mapping[str, Any] | None = None, status: int = 0) -> None:
        super().__init__("\n".join(map(printable, message.split("\n"))))  # it may quote foreign text
        self.answer = answer or {}
        self.status = status  # of HTTP; 0 if the server did not refuse


class AdminClient:
    """Calls the admin API of one server."""

    def __init__(self, server: str, token_file: Path) -> None:
        """Check the arguments; the connection is opened by the first call.

        Raises:
            click.UsageError: the server is not a URL.
            AdminApiError: the token cannot be read.
        """
        self._server = server
        self._token_file = token_file
        self._http = _client(server)
        self._http.headers["Authorization"] = f"Bearer {_read_token(token_file)}"

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

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
        with self._send(method, target, content, "application/json", timeout) as response:
            return self._answer(response)

    def download(self, path: str, timeout: float) -> Iterator[bytes]:
        """Yield the body of a GET as it comes; `timeout` is for each part, in seconds.

        Raises:
            AdminApiError: no answer, another than 2xx, or one that broke off.
        """
        with self._send("GET", path, None, "", timeout) as response:
            if not response.is_success:
                self._answer(response)
            try:
                yield from response.iter_raw(_PART)
            except httpx2.HTTPError as error:
                message = f"the answer of {self._server} broke off: what came of it is not whole: try again"
                raise AdminApiError(message) from error

    def upload(self, path: str, file: IO[bytes], content_type: str, timeout: float) -> Any:
        """Return the JSON answer to a POST of a file, which is sent as it is read.

        Raises:
            AdminApiError: no answer, or another than 2xx.
        """
        with self._send("POST", path, _parts(file), content_type, timeout) as response:
            return self._answer(response)

    @contextlib.contextmanager
    def _send(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None, content_type: str, timeout: float
    ) -> Iterator[httpx2.Response]:
        """Give the answer, whose body is still to be read."""
        headers = {} if body is None else {"Content-Type": content_type}
        limits = httpx2.Timeout(timeout, connect=_CONNECT_TIMEOUT)
        try:
            with self._http.stream(method, path, content=body, headers=headers, timeout=limits) as response:
                yield response
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx2.HTTPError) -> AdminApiError:
        # A server without TLS answers at once in plain HTTP, or waits for the rest of a "request".
        if "WRONG_VERSION_NUMBER" in str(error) or "handshake operation timed out" in str(error):
            return AdminApiError(f"no TLS with {self._server}: it speaks plain HTTP: write http://")
        return AdminApiError(
            f"cannot reach the admin API at {self._server} ({str(error) or type(error).__name__}): "
            "is ddnsd running there? Start it with `ddnsd serve`, "
            "or name the right one with --server or DDNSD_SERVER"
        )

    def _answer(self, response: httpx2.Response) -> Any:
        """Return an answer's JSON.

        Raises:
            AdminApiError: it is not of the admin API, or not 2xx.
        """
        status = response.status_code
        try:
            answer = msgspec.json.decode(response.read())
        except msgspec.DecodeError as error:
            raise AdminApiError(f"{self._server} {_NOT_ADMIN} (it answered {status} without JSON)") from error
        if (
            isinstance(answer, dict) and "success" in answer
        ):  # as the update API and the health listener answer
            raise AdminApiError(f"{self._server} {_NOT_ADMIN}")
        if status == 401:
            raise AdminApiError(
                f"{self._server} does not accept the admin token in {self._token_file}: name the right file "
                "with --admin-token-file or DDNSD_ADMIN_TOKEN_FILE (the server's is in its data folder)"
            )
        if not response.is_success:
            raise AdminApiError(str(answer.get("error", f"HTTP status {status}")), answer, status)
        return answer


def _client(server: str) -> httpx2.Client:
    """Return a client of the server at a URL; it connects with the first request."""
    base = _base(server)
    if base.scheme == "https":
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, is not used, and costs no time
        if is_remote(server):
            click.echo(
                f"Warning: the admin token crosses the network in plain text to {server}: write https://, "
                "or reach it through an SSH tunnel",
                err=True,
            )
    headers = {"User-Agent": "ddnsd", "Accept-Encoding": "identity"}
    return httpx2.Client(base_url=base, headers=headers, verify=context, trust_env=False)


def _base(server: str) -> httpx2.URL:
    """Return the URL without user and password, which httpx2 would send instead of the token."""
    with contextlib.suppress(ValueError, httpx2.InvalidURL):
        url = urlsplit(server)
        if url.hostname and url.scheme in ("http", "https"):
            return httpx2.URL(scheme=url.scheme, host=url.hostname, port=url.port, path=url.path)
    raise click.UsageError(f"--server: {server!r} is not a URL such as http://127.0.0.1:8081")


def resource_path(plural: str, name: str, *rest: str) -> str:
    """Return the path of a resource, or of one below it."""
    segment = quote(name, safe="")
    if segment in (".", ".."):  # httpx2 would resolve it, and name the whole collection
        segment = segment.replace(".", "%2E")
    return "/".join(("/api/v1", plural, segment, *rest))


def name_of(file: IO[bytes]) -> str:
    """Return what messages call a file that click has opened."""
    return "standard input" if file.name in ("-", "<stdin>") else file.name


def problem_line(place: str, problem: Mapping[str, Any]) -> str:
    """Return a problem that an answer tells as a line: its place, the resource, the field, what is wrong."""
    if resource := problem.get("resource"):
        place += f" ({resource})"
    return ": ".join(part for part in (place, problem["field"], problem["message"]) if part)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    try:
        while part := file.read(_PART):
            yield part
    except OSError as error:
        raise click.ClickException(f"cannot read {file.name}: {error.strerror or error}") from error


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
    """Give a command the options of the admin API; its first argument is an `AdminClient`."""

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


def read_kind(text: str) -> Kind:
    """Return a kind of resource: singular or plural, in any case. For click, as the type of an argument."""
    kinds = {spelling: kind for kind in Kind for spelling in (kind.value.lower(), kind.plural)}
    if text.lower() not in kinds:
        raise click.BadParameter(f"{text!r} is not one of {', '.join(kind.plural for kind in Kind)}")
    return kinds[text.lower()]


def duration(text: str) -> float:
    """Return the seconds of a time span, an hour at most: seconds, or with a unit, such as 90, 1.5s or 2m.

    For click, as the type of an option, whose help shows this function's name.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a duration such as 10s, 1m or 90")
    seconds = float(match["number"]) * _UNITS[match["unit"]]
    if seconds > _LONGEST:
        raise click.BadParameter(f"{text!r} is more than an hour")
    return seconds
