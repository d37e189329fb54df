"""Calls: credentials, time limits and failures, the same for every verb."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from ddnsd.kube.api.connection import Answer, Request, Target, exchange
from ddnsd.kube.api.credentials import Credentials
from ddnsd.kube.api.errors import KubeError, MalformedError, UnavailableError, failure
from ddnsd.kube.api.resource import Resource
from ddnsd.kube.api.settings import Settings

_MOST = 64 << 20  # bytes of an answer: a page of large objects, of which etcd holds up to 1.5 MiB each
_MOST_OF_FAILURE = 1 << 20


class Call(NamedTuple):
    """One request of a resource. `title` names it in errors; `content` is the document's media type."""

    title: str
    resource: Resource
    method: str
    path: str
    document: Mapping[str, Any] | None = None
    content: str = "application/json"

    def request(self, settings: Settings, token: str) -> Request:
        """Return it as HTTP."""
        headers = {
            "Host": settings.authority,
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": settings.user_agent,
            "Connection": "close",
        }
        if self.document is None:
            return Request(self.method, self.path, headers)
        headers["Content-Type"] = self.content
        return Request(self.method, self.path, headers, msgspec.json.encode(self.document))


class Transport:
    """One API server and our credentials there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.credentials = Credentials(settings.credentials)

    async def call(self, call: Call, timeout: float) -> bytes:
        """Return the body of a successful answer; `timeout` is for all of it.

        Raises:
            KubeError: see `errors`.
        """
        try:
            async with asyncio.timeout(timeout), self._exchange(call) as answer:
                return await answer.read_all(_MOST)
        except TimeoutError:
            raise UnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def open(self, call: Call, timeout: float) -> AsyncIterator[Answer]:
        """Give a successful answer as soon as its head is there, for which `timeout` is.

        Raises:
            KubeError: see `errors`.
        """
        bound = asyncio.timeout(timeout)
        try:
            async with bound, self._exchange(call) as answer:
                bound.reschedule(None)
                yield answer
        except TimeoutError:
            if not bound.expired():
                raise
            raise UnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def _exchange(self, call: Call) -> AsyncIterator[Answer]:
        settings, credentials = self.settings, self.credentials
        target = Target(*settings.address, credentials.context, settings.connect_timeout)
        async with exchange(target, call.request(settings, credentials.token)) as answer:
            if not 200 <= answer.code < 300:
                raise await _failure(call, answer)
            yield answer


async def _failure(call: Call, answer: Answer) -> KubeError:
    try:
        body = await answer.read_all(_MOST_OF_FAILURE)
    except (UnavailableError, MalformedError):
        body = b""  # the code says enough
    silent = call.resource.sensitive
    retry_after = answer.headers.get("Retry-After", "")
    return failure(answer.code, body, call.title, retry_after=retry_after, silent=silent)
