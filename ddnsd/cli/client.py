"""A client of the admin API: one connection, errors that say what to do."""

import http.client
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ddnsd.cli.connection import AdminApiError, Body, Connection

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
