"""Real parts that fail at one call of the test's choice: a lost message, a lost answer, a death."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum

from ddnsd.nameserver.interface import (
    Hidden,
    LoadedNameserver,
    NoAnswerError,
    Rcode,
    RecordType,
    RRset,
    Update,
)
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from ddnsd.store.interface import Outcome, Store, UnavailableError, Unknown
from tests.rigs.forwarding import ForwardingNameserver, ForwardingStore


class Fault(StrEnum):
    """What happens to one call."""

    LOST = "lost"  # it never arrives, and no answer comes
    UNANSWERED = "unanswered"  # it is done, and the answer is lost
    LATE = "late"  # no answer comes, and it arrives after the next call: to a store, too late
    DEATH_BEFORE = "death before"  # it never arrives: the caller is stopped there
    DEATH_AFTER = "death after"  # it is done: the caller is stopped before it hears of that


DEATHS = (Fault.DEATH_BEFORE, Fault.DEATH_AFTER)


class Trigger:
    """Counts calls, and says which one fails. `died` is set when the caller should be stopped."""

    def __init__(self, fault: Fault, at: int) -> None:
        self._fault = fault
        self._at = at
        self.calls = 0
        self.died = asyncio.Event()
        self.buried = asyncio.Event()

    @property
    def happened(self) -> bool:
        return self.calls >= self._at

    def next(self) -> Fault | None:
        self.calls += 1
        return self._fault if self.calls == self._at else None

    async def death(self) -> None:
        """Stop here until the caller is dead and buried."""
        self.died.set()
        await self.buried.wait()
        raise UnavailableError("dead")


class FaultyNameserver(ForwardingNameserver):
    """A real nameserver behind a network that fails once. Tells `look` of each UPDATE that was done."""

    def __init__(self, real: LoadedNameserver, trigger: Trigger, look: Callable[[Update], None]) -> None:
        super().__init__(real)
        self._trigger = trigger
        self._look = look
        self._late: Update | None = None

    async def update(self, update: Update) -> Rcode:
        fault = self._trigger.next()
        if fault is Fault.DEATH_BEFORE:
            await self._trigger.death()
        if fault is Fault.LOST:
            raise NoAnswerError("lost")
        if fault is Fault.LATE:
            self._late = update
            raise NoAnswerError("late")
        rcode = await self._deliver(update)
        if fault is Fault.DEATH_AFTER:
            await self._trigger.death()
        if fault is Fault.UNANSWERED:
            raise NoAnswerError("unanswered")
        if self._late is not None:
            late, self._late = self._late, None
            await self._deliver(late)
        return rcode

    async def _deliver(self, update: Update) -> Rcode:
        rcode = await self.real.update(update)
        if rcode is Rcode.NOERROR:
            self._look(update)
        return rcode

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        fault = self._trigger.next()
        if fault in DEATHS:
            await self._trigger.death()
        if fault is not None:
            raise NoAnswerError("lost")
        return await self.real.query(zone, name, type)

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        fault = self._trigger.next()
        if fault is Fault.DEATH_BEFORE:
            await self._trigger.death()
        if fault is Fault.LOST:
            raise NoAnswerError("lost")
        async for part in self.real.transfer(zone):
            yield part
        if fault is Fault.DEATH_AFTER:
            await self._trigger.death()
        if fault is not None:
            raise NoAnswerError("broken off")

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        """Only for the first time: it stands for a nameserver that is not this process's."""
        try:
            await self.real.query(zone, zone, RecordType.SOA)
        except Exception:  # noqa: BLE001  whatever it is: not open
            await self.real.open(zone, ())


class FaultyStore(ForwardingStore):
    """A real store behind a network that fails once, at a commit."""

    def __init__(self, real: Store, trigger: Trigger) -> None:
        super().__init__(real)
        self._trigger = trigger
        self._late: Sequence[StoreUpdate] = ()

    async def settle(self) -> int:
        self._late = ()
        return await self.real.settle()

    async def commit(self, updates: Sequence[StoreUpdate]) -> Sequence[Outcome]:
        fault = self._trigger.next()
        if fault is Fault.DEATH_BEFORE:
            await self._trigger.death()
        if fault is Fault.LOST:
            raise UnavailableError("lost")
        if fault is Fault.LATE:
            self._late = updates
            return [Unknown("late")] * len(updates)
        outcomes = await self.real.commit(updates)
        if self._late:
            late, self._late = self._late, ()
            await self.real.commit(late)
        if fault is Fault.DEATH_AFTER:
            await self._trigger.death()
        if fault is Fault.UNANSWERED:
            return [Unknown("unanswered")] * len(updates)
        return outcomes
