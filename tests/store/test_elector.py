"""The one candidacy of leader and controller: who is elected works, and nobody leads who does not work."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ddnsd.model.records import Candidacy
from ddnsd.store import tables
from ddnsd.store.elector import Elector
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import Leadership, Store, UnavailableError
from tests.store.contract.actions import DEADLINE, delete
from tests.tasks import running
from tests.waiting import turn_loop, until

ELECTION = "controllers/prod"
OTHER = tables.encode(Candidacy("other"))


class Candidate:
    """One that is fit or not as the test says, works until the test ends that, and notes what happens."""

    def __init__(self, store: Store, me: str = "me") -> None:
        self.is_fit = asyncio.Event()
        self.is_fit.set()
        self.is_unfit = asyncio.Event()
        self.ends: asyncio.Queue[Exception | None] = asyncio.Queue()  # of the work
        self.failures: list[Exception] = []
        self.epochs: list[int] = []
        self.resigned: list[int] = []
        self.works = False
        self.pause = 0.0
        self._elector = Elector(store, ELECTION, me, self._work, resigned=self.resigned.append)

    async def run(self) -> NoReturn:
        await self._elector.run(
            fit=self._fit, unfit=self._unfit, retry_on=(UnavailableError, KeyError), failed=self._failed
        )

    async def _fit(self) -> None:
        await self.is_fit.wait()

    async def _unfit(self) -> None:
        await self.is_unfit.wait()
        self.is_fit.clear()
        self.is_unfit.clear()

    async def _work(self, leadership: Leadership) -> None:
        self.works = True
        self.epochs.append(leadership.epoch)
        try:
            if error := await self.ends.get():
                raise error
        finally:
            self.works = False

    def _failed(self, error: Exception) -> float:
        self.failures.append(error)
        return self.pause


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path)
    try:
        yield store
    finally:
        await store.close()


async def queue(store: EmbeddedStore) -> list[str]:
    """Return who stands in the election, the oldest one first."""
    items = (await store.snapshot(f"{ELECTION}/")).items.values()
    shelf = tables.SHELVES["controllers"]
    return [tables.decode(shelf, item.value).member for item in sorted(items, key=lambda item: item.created)]


def is_queue(store: EmbeddedStore, *names: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return await queue(store) == [*names]

    return holds


async def test_who_is_elected_works_and_the_next_one_when_it_ends(store: EmbeddedStore) -> None:
    first, second = Candidate(store, "first"), Candidate(store, "second")
    async with running(first.run()):
        await until(lambda: first.works)
        async with running(second.run()):
            await until(is_queue(store, "first", "second"))
            assert not second.works
            first.ends.put_nowait(None)
            await until(lambda: second.works)
            await until(is_queue(store, "second", "first"))
            assert first.resigned == first.epochs
        await until(lambda: first.works)
    assert second.resigned == second.epochs
    assert first.resigned == first.epochs
    assert first.epochs[0] < second.epochs[0] < first.epochs[1]
    assert await queue(store) == []


async def test_who_is_unfit_stands_back_and_stands_again_when_it_is_fit(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    candidate.is_fit.clear()
    before = await store.campaign(OTHER, ELECTION)
    async with running(candidate.run()):
        candidate.is_fit.set()
        await until(is_queue(store, "other", "me"))
        candidate.is_unfit.set()
        await until(is_queue(store, "other"))
        await before.resign()
        assert not candidate.epochs
        candidate.is_fit.set()
        await until(lambda: candidate.works)
        candidate.is_unfit.set()
        await until(is_queue(store))
        assert not candidate.works
        await until(lambda: candidate.resigned == candidate.epochs)  # it hears of that a moment later


async def test_the_work_ends_with_the_leadership(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    async with running(candidate.run()):
        await until(lambda: candidate.works)
        (key,) = (await store.snapshot(f"{ELECTION}/")).items
        await delete(store, key)
        await until(lambda: len(candidate.epochs) == 2)
        assert candidate.resigned == candidate.epochs[:1]
    assert not candidate.failures


@pytest.mark.parametrize(
    "error",
    [
        KeyError("named"),
        ExceptionGroup("the work's tasks", [ExceptionGroup("of one", [KeyError("named")])]),
    ],
    ids=["alone", "in a group"],
)
async def test_after_a_named_error_it_resigns_and_stands_again(
    store: EmbeddedStore, error: Exception
) -> None:
    candidate = Candidate(store)
    async with running(candidate.run()):
        await until(lambda: candidate.works)
        candidate.ends.put_nowait(error)
        await until(lambda: len(candidate.epochs) == 2)
    (failure,) = candidate.failures
    assert isinstance(failure, KeyError)
    assert candidate.resigned == candidate.epochs


async def test_it_waits_as_long_as_it_is_told_after_an_error(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    candidate.pause = 3600.0
    async with running(candidate.run()):
        await until(lambda: candidate.works)
        candidate.ends.put_nowait(KeyError("named"))
        await until(lambda: candidate.failures != [])
        await until(is_queue(store))
        await turn_loop(100)
        assert await queue(store) == [], "another one is elected meanwhile"


async def test_another_error_ends_it_and_it_has_resigned(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    candidate.ends.put_nowait(ValueError("a bug"))
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(ValueError, match="a bug"):
            await candidate.run()
    assert candidate.resigned == candidate.epochs
    assert await queue(store) == []


async def test_another_error_beside_a_named_one_ends_it_too(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    errors = ExceptionGroup("the work's tasks", [KeyError("named"), ValueError("a bug")])
    candidate.ends.put_nowait(errors)
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(ExceptionGroup) as raised:
            await candidate.run()
    assert [repr(error) for error in raised.value.exceptions] == ["ValueError('a bug')"]
    assert [repr(error) for error in candidate.failures] == ["KeyError('named')"]
    assert candidate.resigned == candidate.epochs
    assert await queue(store) == []


async def test_a_store_that_is_away_is_asked_again(store: EmbeddedStore) -> None:
    candidate = Candidate(store)
    candidate.pause = 3600.0
    await store.close()
    async with running(candidate.run()):
        await until(lambda: candidate.failures != [])
    assert isinstance(candidate.failures[0], UnavailableError)
    assert not candidate.epochs


class OneKey:
    """A store with nothing but an election, of one candidate, which is elected when the test says."""

    def __init__(self) -> None:
        self.election = asyncio.Event()
        self.leads = False

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(name)

    async def campaign(self, value: bytes, election: str = "") -> Leadership:
        await self.election.wait()
        self.leads = True
        return OneLeadership(self)


class OneLeadership:
    epoch = 1
    guard: Mapping[str, int] = {}

    def __init__(self, store: OneKey) -> None:
        self._store = store

    async def confirm(self) -> bool:
        return self._store.leads

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def resign(self) -> None:
        self._store.leads = False


@pytest.mark.parametrize("steps", range(-12, 12))
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "unfit"])
async def test_who_ends_when_it_is_elected_leaves_no_key_behind(steps: int, cancelled: bool) -> None:
    """Steps of the event loop from its election to its end, of which one is before it knows of the first."""
    store = OneKey()
    candidate = Candidate(store)
    task = asyncio.create_task(candidate.run())
    await turn_loop(20)
    end = task.cancel if cancelled else candidate.is_unfit.set
    first, second = (store.election.set, end) if steps >= 0 else (end, store.election.set)
    first()
    await turn_loop(abs(steps))
    second()
    await turn_loop(20)
    assert task.done() == cancelled
    assert not store.leads
    task.cancel()
    await asyncio.wait([task])
