"""The public /healthz: shared questions, a bound, and nothing for those that have gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from ddnsd.store.interface import StoreError, UnavailableError
from ddnsd.web.health import HealthEndpoint
from ddnsd.web.http import HttpRequest
from tests.system.http import Client, Reply
from tests.waiting import until
from tests.web.public_place import PublicPlace

ABLE = (200, b'{"success":true}')
UNABLE = (503, '{"success":false,"error":"数据库暂不可用"}'.encode())
DRAINING = (503, '{"success":false,"error":"服务即将停止"}'.encode())


class Place:
    """A server with the endpoint; `questions` are those it has asked, to be answered by the test."""

    def __init__(self, timeout: float) -> None:
        self.takes_changes = True
        self.questions: list[Callable[[StoreError | None], None]] = []
        self._arrived = 0
        self._endpoint = HealthEndpoint(self.questions.append, lambda: self.takes_changes, timeout)
        self._place = PublicPlace({"/healthz": {"GET": self._count}})
        self.listener, self.server = self._place.listener, self._place.server

    def _count(self, exchange: HttpRequest) -> None:
        self._endpoint(exchange)
        self._arrived += 1

    async def ask(self) -> tuple[int, bytes]:
        client = Client(f"127.0.0.1:{self._place.port}")
        reply: Reply = await client.get("/healthz")
        await client.close()
        return reply.status, reply.body

    async def wait(self, count: int, questions: int = 1) -> list[asyncio.Task[tuple[int, bytes]]]:
        """Ask so many times at once; return when all wait for the last of so many questions."""
        wanted = self._arrived + count
        asking = [asyncio.create_task(self.ask()) for _ in range(count)]

        async def wait() -> bool:
            return self._arrived == wanted and len(self.questions) == questions

        await until(wait, 10, "all wait")
        return asking


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Place]]:
    places: list[Place] = []

    def start(timeout: float = 60) -> Place:
        places.append(Place(timeout))
        return places[-1]

    yield start
    for place in places:
        place.server.stop()
        await place.server.close()


@pytest.mark.parametrize(("error", "answer"), [(None, ABLE), (UnavailableError("internal"), UNABLE)])
async def test_one_question_for_all_who_wait(
    start: Callable[..., Place], error: StoreError | None, answer: tuple[Any, ...]
) -> None:
    place = start()
    asking = await place.wait(30)
    place.questions[0](error)
    assert await asyncio.gather(*asking) == [answer] * 30
    (last,) = await place.wait(1, questions=2)
    place.questions[1](None)
    assert await last == ABLE


async def test_no_answer_in_time_is_one_and_does_not_answer_who_comes_later(
    start: Callable[..., Place],
) -> None:
    place = start(0.5)
    assert await asyncio.gather(*await place.wait(2)) == [UNABLE] * 2
    (later,) = await place.wait(1, questions=2)
    place.questions[0](None)  # late
    (last,) = await place.wait(1, questions=2)
    place.questions[1](UnavailableError("gone"))
    assert (await later, await last) == (UNABLE, UNABLE)


async def test_a_node_whose_own_store_takes_no_changes_asks_nothing(start: Callable[..., Place]) -> None:
    place = start()
    place.takes_changes = False
    assert await place.ask() == UNABLE
    assert place.questions == []


async def test_a_node_that_drains_asks_nothing(start: Callable[..., Place]) -> None:
    place = start()
    place.listener.draining = True
    assert await place.ask() == DRAINING
    assert place.questions == []
