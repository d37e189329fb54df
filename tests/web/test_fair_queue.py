"""Crowds whose requests come all at once: the others wait for a few of them, not for all."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from ddnsd.web.connections import ConnectionLimits, Connections, Occupant, Rank, Tarpit
from ddnsd.web.http import HttpRequest, Routes
from ddnsd.web.proxy_protocol import ProxyProtocol
from tests.waiting import hold_up, stays, turn_loop, until
from tests.web.proxy_headers import version_1
from tests.web.public_place import PATIENT, Bystander, PublicPlace

CROWD, OTHER, THIRD, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
ALONE, SPARSE, CROWDED = 64, 32, 4  # inputs in one turn: of one source; of several that send little, or much
CREDIT = 16  # inputs of a source that go ahead of those of a crowd
RELEASED = 4  # answers of the tarpit in one turn
REQUEST = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
NOW, SLOW = REQUEST % b"now", REQUEST % b"slow"
SLOWLY = 0.002  # seconds: more than a whole turn is meant to take


class Turns:
    """Counts the turns of the event loop, and what happens in each."""

    def __init__(self) -> None:
        self.happened: Counter[int] = Counter()
        self._number = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def note(self) -> None:
        self.happened[self._number] += 1

    def stop(self) -> None:
        self._handle.cancel()

    def _next(self) -> None:
        self._number += 1
        self._handle = self._loop.call_soon(self._next)


class Place(PublicPlace):
    """Answers `/now` quickly and `/slow` slowly, and keeps the order in which it does."""

    def __init__(self, **more: Any) -> None:
        self.order: list[str] = []
        self.turns = Turns()
        self._clients: list[socket.socket] = []
        routes: Routes = {"/now": {"GET": self._now, "POST": self._now}, "/slow": {"GET": self._slow}}
        proxy = ProxyProtocol(lambda peer: peer == PROXY, lambda _: None, 60)
        super().__init__(routes, proxy=proxy, **more)

    def _now(self, exchange: HttpRequest) -> None:
        self.order.append(exchange.peer)
        self.turns.note()
        exchange.reply(200, b"now")

    def _slow(self, exchange: HttpRequest) -> None:
        hold_up(SLOWLY)
        self._now(exchange)

    async def clients(self, *hosts: str) -> list[socket.socket]:
        """Connect from each, and return once all have their places."""
        clients: list[socket.socket] = []
        for host in hosts:
            clients.append(socket.create_connection(("127.0.0.1", self.port), source_address=(host, 0)))
            await turn_loop()  # the socket lets only some wait
        self._clients += clients

        async def in_place() -> bool:
            return len(self.connections) == len(self._clients)

        await until(in_place, 10, "all are accepted")
        await turn_loop(10)  # and read
        return clients

    async def answered(self, number: int) -> None:
        async def so_many() -> bool:
            return len(self.order) == number

        await until(so_many, 20, f"{number} are answered")

    async def __aexit__(self, *error: object) -> None:
        self.turns.stop()
        with ExitStack() as stack:
            for client in self._clients:
                stack.enter_context(client)
        await super().__aexit__(*error)


def send(clients: list[socket.socket], octets: bytes) -> None:
    """Send without a turn of the event loop: it sees all at once."""
    for client in clients:
        client.sendall(octets)


async def test_one_waits_for_a_few_of_a_crowd_and_so_does_another_source() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 200, *[OTHER] * 3, THIRD)
        send(clients, NOW)
        await place.answered(204)
        assert place.order.index(THIRD) <= ALONE + 2
        last = len(place.order) - place.order[::-1].index(OTHER) - 1
        assert last <= ALONE + 2 * 3, "each source in turn"
        assert place.order.count(CROWD) == 200


async def test_a_crowd_that_is_not_alone_has_smaller_turns() -> None:
    async with Place() as place:
        clients = await place.clients(OTHER, *[CROWD] * 200, THIRD)
        send(clients, NOW)
        await place.answered(202)
        assert place.order.index(THIRD) <= SPARSE + 2


async def test_what_costs_much_counts_for_several() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 20, OTHER)
        send(clients, SLOW)
        await place.answered(21)
        assert place.order.index(OTHER) <= 2


@pytest.mark.parametrize("each", [1, 10], ids=["one by one", "pipelined"])
async def test_no_turn_takes_more_than_it_may(each: int) -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 250)
        send(clients, NOW * each)
        await place.answered(250 * each)
        assert max(place.turns.happened.values()) <= 2 * ALONE  # one before the count's step, one after it


async def test_a_pipelining_crowd_keeps_nobody_waiting() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 200, OTHER)
        send(clients, NOW * 10)
        await place.answered(2010)
        last = len(place.order) - place.order[::-1].index(OTHER) - 1
        assert last <= ALONE + 2 * 10 + SPARSE


async def test_what_waits_is_answered_though_no_more_comes() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 200)
        for client in clients:
            client.sendall(NOW * 2)
            client.shutdown(socket.SHUT_WR)
        await place.answered(400)
        for client in clients:
            client.settimeout(10)
            answers = b""
            while part := await asyncio.to_thread(client.recv, 65536):
                answers += part
            assert answers.count(b"HTTP/1.1 200 OK") == 2
        assert place.closed == []


async def test_proxy_headers_and_bodies_wait_as_well() -> None:
    body = b"x" * 100
    post = b"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + body
    async with Place() as place:
        clients = await place.clients(*[PROXY] * 100, OTHER)
        for number, client in enumerate(clients[:-1]):
            client.sendall(version_1(f"192.0.2.{number}") + post * 60)  # more than is kept of one
        clients[-1].sendall(NOW)
        await place.answered(100 * 60 + 1)
        assert place.order.index(OTHER) <= ALONE + 1
        assert Counter(place.order) == {OTHER: 1} | {f"192.0.2.{number}": 60 for number in range(100)}


async def test_who_leaves_while_its_request_waits_is_forgotten() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 60, OTHER)
        send(clients, SLOW)
        await turn_loop()
        for client in clients[40:60]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            client.close()

        async def gone() -> bool:
            return len(place.connections) == 41

        await until(gone, 10, "they are closed")
        clients[-1].sendall(NOW)

        async def goes_on() -> bool:
            return place.order.count(OTHER) == 2

        await until(goes_on, 10, "it goes on")


async def test_what_waits_when_it_stops_is_answered() -> None:
    async with Place() as place:
        clients = await place.clients(*[CROWD] * 60)
        place.server.stop()
        send(clients, SLOW)
        await place.server.quiet()
        await place.listener.drain()
        await place.server.close()
        for client in clients:
            assert client.recv(4096).endswith(b"now")


async def test_what_waits_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Place(patience=PATIENT._replace(idle=0.3, head=0.3)) as place:
        taken: list[Occupant] = []
        now = place.connections.queue.take
        monkeypatch.setattr(place.connections.queue, "take", taken.append)  # a very long queue
        asks, silent = await place.clients(*[CROWD] * 2)
        asks.sendall(NOW)

        async def closed() -> bool:
            return len(place.connections) == 1

        await until(closed, 10, "one has sent nothing")
        await stays(lambda: len(place.connections) == 1, 0.5)
        assert silent.recv(1) == b""
        for connection in taken:
            now(connection)
        await place.answered(1)


class Sources:
    """Has connections take turns, and keeps the sources in the order of their turns."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.turns = Turns()
        self._connections = Connections(ConnectionLimits(999, 999), lambda _: False, lambda _: None)

    def ask(self, source: str, number: int, again: int = 0, seconds: float = 0.0) -> None:
        """Let so many connections of one source wait for a turn; each asks again so often after it.

        `seconds` is how long each turn takes.
        """
        sources = self

        class Asks(Bystander):
            def take_turn(self) -> None:
                super().take_turn()
                if seconds:
                    hold_up(seconds)
                sources.order.append(source)
                sources.turns.note()
                if self.turns <= again:
                    sources._connections.queue.add(self)

        for _ in range(number):
            asks = Asks()
            self._connections.enter(asks, source)
            self._connections.queue.add(asks)

    async def turn(self, number: int) -> None:
        """Wait until so many inputs have been taken."""

        async def taken() -> bool:
            return len(self.order) >= number

        await until(taken, 10, f"{number} are taken")


async def test_who_sends_little_does_not_wait_behind_a_crowd() -> None:
    sources = Sources()
    sources.ask(CROWD, 200)
    await turn_loop()
    begun = len(sources.order)
    assert CREDIT <= begun < 100, "the crowd has used up its credit"
    sources.ask(OTHER, CREDIT + 4)
    await sources.turn(220)
    went = [place for place, source in enumerate(sources.order) if source == OTHER]
    assert went[0] == begun
    assert went[CREDIT - 1] <= begun + CREDIT + 3, "one of the crowd for each turn, where it takes several"
    rest = sources.order[went[CREDIT - 1] + 1 :][:8]
    assert rest.count(OTHER) == 4, "from then on it takes its turns like the others"


async def test_a_source_is_not_new_all_the_time() -> None:
    sources = Sources()
    sources.ask(CROWD, 200)
    await turn_loop()
    begun = len(sources.order)
    sources.ask(OTHER, 1, again=40)
    await sources.turn(241)
    assert sources.order[begun] == OTHER
    while_both = sources.order[begun + 1 : begun + 60]
    assert while_both.count(OTHER) <= 30, "one connection does not have the others wait all the time"


async def test_a_crowd_goes_on_though_sources_that_are_new_come_all_the_time() -> None:
    sources = Sources()
    sources.ask(CROWD, 200)
    await turn_loop()
    begun = len(sources.order)
    sources.ask("127.1.0.0", 2, seconds=SLOWLY)
    for number in range(1, 61):  # one in each turn, which costs the whole of it
        sources.ask(f"127.1.0.{number}", 1, seconds=SLOWLY)
        await turn_loop()
    of_crowd = sources.order[begun:].count(CROWD)
    assert 50 <= of_crowd <= 70, "about one in each turn"
    assert len(sources.order) - begun - of_crowd >= 55, "those that are new do not wait for it"


async def test_the_turns_of_crowds_are_smaller_where_there_are_others() -> None:
    sources = Sources()
    for source in (CROWD, OTHER):
        sources.ask(source, 100)
    await sources.turn(200)
    sizes = list(sources.turns.happened.values())
    assert sizes[0] <= SPARSE
    assert max(sizes[2:]) == CROWDED


async def test_the_turns_of_a_crowd_stay_small_for_a_while_after_another_source() -> None:
    sources = Sources()
    sources.ask(OTHER, 1)
    await sources.turn(1)
    await asyncio.sleep(0.05)
    sources.ask(CROWD, 100)
    await sources.turn(101)
    _, _, *sizes = sources.turns.happened.values()
    assert max(sizes) == CROWDED


async def test_who_waits_for_a_turn_keeps_its_place_if_another_one_can_go() -> None:
    connections = Connections(ConnectionLimits(2, 2), lambda _: False, lambda _: None)
    asks, idle, third = Bystander(), Bystander(), Bystander()
    for each in (asks, idle):
        connections.enter(each, CROWD)
        connections.rank(each, Rank.AWAITED)
    connections.queue.add(asks)
    assert connections.make_room(OTHER) is not None
    assert (asks.abandoned, idle.abandoned) == (False, True)
    connections.enter(third, OTHER)
    connections.rank(third, Rank.AWAITED)
    connections.queue.add(third)
    assert connections.make_room(OTHER) is not None, "all wait for their turns, and one has to go"
    assert asks.abandoned
    await until(lambda: third.turns > 0)
    assert (asks.turns, third.turns) == (0, 1)


@pytest.mark.logs_errors
async def test_a_connection_s_bug_is_no_other_s() -> None:
    class Broken(Bystander):
        def take_turn(self) -> None:
            raise ValueError

    connections = Connections(ConnectionLimits(9, 9), lambda _: False, lambda _: None)
    broken, other = Broken(), Bystander()
    for each in (broken, other):
        connections.enter(each, CROWD)
        connections.queue.add(each)
    await until(lambda: other.turns > 0)
    assert (broken.abandoned, other.turns) == (True, 1)


async def test_answers_that_are_due_together_are_given_a_few_at_a_time() -> None:
    turns, given = Turns(), list[int]()
    tarpit = Tarpit(lambda _: None)

    def answer(which: int) -> Callable[[], None]:
        def give() -> None:
            turns.note()
            given.append(which)

        return give

    crowd = [Bystander() for _ in range(40)]
    for which, each in enumerate(crowd):
        tarpit.keep(each, answer(which))
    tarpit.drop(crowd[3])
    hold_up(1.2)  # all are due when the event loop looks

    async def all_given() -> bool:
        return len(tarpit) == 0

    await until(all_given, 10, "all are given")
    turns.stop()
    assert given == [which for which in range(40) if which != 3]
    assert max(turns.happened.values()) <= RELEASED
