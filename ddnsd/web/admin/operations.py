"""Operations: handler methods that return their answer, and say of themselves what OpenAPI shows."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ddnsd.model.resources import Kind
from ddnsd.web.admin.base import AdminHandler
from ddnsd.web.admin.failures import translated


class Answer(NamedTuple):
    """What a method answers: plain values, a struct, or YAML part by part. `revision` becomes the ETag."""

    body: Any
    status: int = 200
    revision: int = 0
    warning: str = ""  # becomes a header `Warning`, as Kubernetes' API has it


class Operation(NamedTuple):
    """What OpenAPI shows of a method. Shapes are component names; `{kind}` is the route's kind.

    The shape `Archive` is YAML, all others are JSON.
    """

    answer: str
    body: str = ""
    statuses: tuple[int, ...] = (200,)
    query: Mapping[str, str] = {}
    match: bool = False  # takes If-Match
    summary: str = ""


class Route(NamedTuple):
    """A path as OpenAPI writes it, its handler, and the kind or work that the handler is for."""

    path: str
    handler: type[AdminHandler]
    arguments: Mapping[str, Any] = {}

    @property
    def pattern(self) -> str:
        """The path as a pattern for the router."""
        return self.path.replace(".", r"\.").replace("{name}", "([^/]+)")

    @property
    def kind(self) -> str:
        """The name of the route's kind, or ""."""
        kind = self.arguments.get("kind")
        return kind.value if isinstance(kind, Kind) else ""


Method = Callable[..., Awaitable[Answer]]


def operation(shown: Operation) -> Callable[[Method], Callable[..., Awaitable[None]]]:
    """Make a handler's method out of one that returns its answer; its docstring is the summary."""

    def decorate(method: Method) -> Callable[..., Awaitable[None]]:
        @functools.wraps(method)
        async def answering(self: AdminHandler, *arguments: str) -> None:
            self.is_whole = True
            with translated():
                answer = await method(self, *arguments)
            self.set_status(answer.status)
            if answer.revision:
                self.set_header("ETag", f'"{answer.revision}"')
            if answer.warning:
                self.set_header("Warning", f'299 ddnsd "{answer.warning}"')
            if isinstance(answer.body, AsyncIterator):
                await self.stream(answer.body)
            else:
                self.finish(
                    msgspec.json.encode(answer.body)
                )  # not awaited: a client that has gone is no failure

        answering.operation = shown._replace(summary=(method.__doc__ or "").strip())  # type: ignore[attr-defined]
        return answering

    return decorate
