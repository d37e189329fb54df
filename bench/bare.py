"""The least that Tornado can do with a request: a process that answers all of them with the same bytes.

`python -m bench.bare handler|delegate`, the answer's body on standard input; it prints its port.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    ResponseStartLine,
)
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from tests.system.installation import UPDATE

_ADDRESS = "127.0.0.1"


class _Handler(RequestHandler):
    def initialize(self, body: bytes) -> None:
        self._body = body

    def get(self) -> None:
        self.write(self._body)


class _Message(HTTPMessageDelegate):
    def __init__(self, connection: HTTPConnection, body: bytes) -> None:
        self._connection = connection
        self._body = body

    def finish(self) -> None:
        headers = HTTPHeaders({"Content-Length": str(len(self._body))})
        self._connection.write_headers(ResponseStartLine("", 200, "OK"), headers, self._body)
        self._connection.finish()


class _Delegate(HTTPServerConnectionDelegate):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def start_request(self, _server_conn: object, request_conn: HTTPConnection) -> _Message:
        return _Message(request_conn, self._body)


_KINDS: dict[str, Callable[[bytes], Any]] = {
    "handler": lambda body: Application([(UPDATE, _Handler, {"body": body})]),
    "delegate": _Delegate,
}


@asynccontextmanager
async def bare_server(kind: str, body: bytes) -> AsyncIterator[str]:
    """Run one as a process of its own; yield its `host:port`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.bare", kind, stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(body)
        process.stdin.close()
        yield f"{_ADDRESS}:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


async def _serve(kind: str, body: bytes) -> None:
    sockets = bind_sockets(0, _ADDRESS)
    HTTPServer(_KINDS[kind](body)).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1], sys.stdin.buffer.read()))
