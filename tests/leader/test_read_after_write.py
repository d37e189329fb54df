"""What is read after a write of our own may be a moment old: nothing is concluded from it (decision 35)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddnsd.leader.acknowledge import NOT_SERVED
from ddnsd.leader.backoff import growing_pauses
from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.records import RecordKey, Work
from ddnsd.model.request import Refusal, Request, Updated
from ddnsd.nameserver.embedded import EmbeddedNameserver
from ddnsd.nameserver.interface import Hidden, Rcode, RecordType, Replace, RRset, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from tests.leader.node import (
    BLOG,
    PATIENCE,
    POLICY,
    SECRET,
    ZONE,
    Node,
    embedded_nameservers,
    example,
    host,
    node_on,
    zone_of,
)
from tests.rigs import BindRig, NameserverRig, Record
from tests.rigs.forwarding import ForwardingNameserver
from tests.waiting import turn_loop

WWW, FENCE = f"www.{ZONE}", f"_ddnsd.{ZONE}"
BLOG_A, WWW_A = RecordKey(BLOG, Family.A), RecordKey(WWW, Family.A)
View = dict[tuple[str, str], RRset]


class SigningBindRig(BindRig):
    """BIND as many have it: it signs what is written, and serves it some milliseconds later."""

    def role(self, keys: str) -> str:
        return f"{super().role(keys)} dnssec-policy default; inline-signing yes;"


class Lagging(ForwardingNameserver):
    """A real nameserver that serves what was there before, for the next `lag` questions after an UPDATE."""

    def __init__(self, real: EmbeddedNameserver, lag: int) -> None:
        super().__init__(real)
        self.lag = lag
        self.updates: list[Update] = []
        self.wildcard: Hidden | None = None  # what is served where nothing is
        self.hides: Callable[[str], bool] = lambda _: False  # names that are never served
        self._before: View = {}
        self._now: View = {}
        self._left = 0

    async def update(self, update: Update) -> Rcode:
        self.updates.append(update)
        rcode = await self.real.update(update)
        if rcode is Rcode.NOERROR and update.changes:
            self._before = self._before if self._left else self._now
            self._now, self._left = await self._read(update.zone), self.lag
        return rcode

    async def _read(self, zone: str) -> View:
        return {(each.name, each.type): each async for part in self.real.transfer(zone) for each in part}

    def _served(self) -> View:
        view = self._before if self._left else self._now
        self._left = max(0, self._left - 1)
        return {place: rrset for place, rrset in view.items() if not self.hides(place[0])}

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        if type is RecordType.SOA:
            return await self.real.query(zone, name, type)
        return self._served().get((name, type)) or self.wildcard

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        yield list(self._served().values())


@asynccontextmanager
async def lagging_node(
    folder: Path, lag: int, make: type[Lagging] = Lagging, **settings: Any
) -> AsyncIterator[tuple[Node, Lagging]]:
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers:
            lagging = make(servers["default"], lag)
            async with node_on(store, {"default": lagging}, **settings) as node:
                node.lead()
                yield node, lagging
    finally:
        await store.close()


def error_of(node: Node, record: RecordKey) -> str:
    error = node.state.published[record].value.error
    return error.message if error else ""


async def findings(node: Node, work: Work) -> Sequence[str]:
    done = await node.registry.work.finished(await node.registry.work.request(ZONE, work), PATIENCE)
    assert done is not None
    assert not done.failure, done
    return done.findings


async def test_a_nameserver_that_signs_what_is_written_refuses_nothing(
    tmp_path: Path, store: EmbeddedStore, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"h{number}.{ZONE}" for number in range(20)]
    async with SigningBindRig() as rig:
        nameserver = Rfc2136Nameserver(rig.settings)
        async with node_on(store, {"default": nameserver}, policy=replace(POLICY, timeout=8)) as node:
            node.lead()
            await node.apply(*example(*names))
            for name in names[:10]:
                assert isinstance(await node.update(name, "192.0.2.1"), Updated)
            answers = await asyncio.gather(*(node.update(name, "192.0.2.1") for name in names[10:]))
            assert all(isinstance(answer, Updated) for answer in answers), answers
            for name in names[:5]:
                answer = await node.ask(Request(name, "", SECRET, "", text="x" * 43))
                assert not isinstance(answer, Refusal), name
                assert await rig.query(f"_acme-challenge.{name}", "TXT") == (f'"{"x" * 43}"',)
            await asyncio.gather(*(node.update(name, "192.0.2.2") for name in names))
            await findings(node, Work.REPAIR)
            await node.published()
        await nameserver.close()
    assert "publish.refused" not in caplog.text
    assert "drift.found" not in caplog.text


@pytest.mark.parametrize("lag", [1, 2, 5])
async def test_what_is_served_a_moment_later_is_taken_for_served(
    tmp_path: Path, lag: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with lagging_node(tmp_path, lag) as (node, lagging):
        await node.apply(*example(BLOG, WWW))
        answers = await asyncio.gather(*(node.update(name, "192.0.2.1") for name in (BLOG, WWW)))
        assert all(isinstance(answer, Updated) for answer in answers)
        await node.published()
        claims = [each for each in lagging.updates if any(x.name == FENCE for x in each.changes)]
        assert len(claims) == 1, "a fence that is not transferred yet was not lost"
        assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        assert await findings(node, Work.CHECK) == ()
    assert "publish.refused" not in caplog.text


async def test_one_that_is_never_served_is_refused_in_the_end_and_delays_no_other(tmp_path: Path) -> None:
    async with lagging_node(tmp_path, 0, policy=replace(POLICY, timeout=1.5)) as (node, lagging):
        await node.apply(*example(BLOG, WWW))
        await node.published()
        lagging.hides = lambda name: name == BLOG
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        assert isinstance(await node.update(WWW, "192.0.2.1"), Updated)
        assert isinstance(await node.update(WWW, "192.0.2.2"), Updated)
        assert not waiting.done()
        assert await waiting is Refusal.NAMESERVER_FAILED
        assert error_of(node, BLOG_A) == NOT_SERVED


async def test_a_fence_that_is_lost_does_not_wait_for_what_is_not_served_yet(tmp_path: Path) -> None:
    async with lagging_node(tmp_path, 0, policy=replace(POLICY, timeout=60)) as (node, lagging):
        await node.apply(*example(BLOG, WWW))
        await node.published()
        lagging.hides = lambda name: name == BLOG
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: BLOG_A in node.state.published)
        await lagging.update(Update(ZONE, (), (Replace(FENCE, RecordType.TXT, 0, ()),)))
        assert isinstance(await node.update(WWW, "192.0.2.1"), Updated)
        lagging.hides = lambda _: False
        assert isinstance(await waiting, Updated)
        assert await zone_of(lagging.real) == {(BLOG, "A"): ("192.0.2.1",), (WWW, "A"): ("192.0.2.1",)}


class Gated(Lagging):
    """One whose answers about some names wait for a future; the first about a name shows nothing there."""

    def __init__(self, real: EmbeddedNameserver, lag: int) -> None:
        super().__init__(real, lag)
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        if gate := self.gates.pop(name, None):
            await gate
            return None
        return await super().query(zone, name, type)


async def test_a_claim_at_any_turn_of_the_loop_leaves_no_record_busy(tmp_path: Path) -> None:
    """A claim cancels what is late: were it before its first step, it is planned again all the same."""
    turns = range(-4, 10)
    names = {turn: f"h{turn + 4}.{ZONE}" for turn in turns}
    async with lagging_node(tmp_path, 0, Gated, policy=replace(POLICY, timeout=60)) as (node, gated):
        assert isinstance(gated, Gated)
        await node.apply(*example(*names.values()))
        await node.published()
        for turn, name in names.items():
            gates = {each: asyncio.get_running_loop().create_future() for each in (name, ZONE)}
            gated.gates = dict(gates)
            update = asyncio.create_task(node.update(name, "192.0.2.1"))
            takeover = asyncio.create_task(findings(node, Work.TAKEOVER))
            await node.until(lambda: not gated.gates)
            first, second = (name, ZONE) if turn > 0 else (ZONE, name)
            gates[first].set_result(None)
            await turn_loop(abs(turn))
            gates[second].set_result(None)
            assert isinstance(await update, Updated), turn
            await takeover


async def test_the_cname_of_a_wildcard_in_an_old_answer_is_no_refusal(tmp_path: Path) -> None:
    async with lagging_node(tmp_path, 3) as (node, lagging):
        await node.apply(*example())
        await node.published()
        lagging.wildcard = Hidden(BLOG, "CNAME")
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)


async def test_what_an_answer_shows_is_refused_at_once(
    tmp_path: Path, store: EmbeddedStore, nameserver_rig: NameserverRig
) -> None:
    """However long a reading back may take."""
    below = f"a.sub.{ZONE}"
    await nameserver_rig.add_foreign(
        Record(WWW, 60, "CNAME", "elsewhere.example.net."),
        Record(f"_acme-challenge.{BLOG}", 60, "CNAME", "acme.example.net."),
        Record(f"sub.{ZONE}", 60, "NS", "ns.elsewhere.example.net."),
    )
    nameserver = Rfc2136Nameserver(nameserver_rig.settings)
    async with node_on(store, {"default": nameserver}, policy=replace(POLICY, timeout=3600)) as node:
        node.lead()
        await node.apply(*example(WWW, BLOG), host(below))
        names = (WWW, BLOG, below)
        answers = await asyncio.gather(*(node.update(name, "192.0.2.1") for name in names))
        assert answers == [
            Refusal.NAMESERVER_FAILED,
            Updated(BLOG, "192.0.2.1", Family.A, ""),
            Refusal.NAMESERVER_FAILED,
        ]
        assert await node.ask(Request(BLOG, "", SECRET, "", text="x" * 43)) is Refusal.NAMESERVER_FAILED
        for record, shown in (
            (WWW_A, f"a CNAME stands at {WWW}"),
            (RecordKey(BLOG, Challenge.TXT), f"a CNAME stands at _acme-challenge.{BLOG}"),
            (RecordKey(below, Family.A), f"sub.{ZONE} is delegated"),
        ):
            error = error_of(node, record)
            assert shown in error or "REFUSED" in error, "PowerDNS refuses the first two itself"
    await nameserver.close()


def test_pauses_grow_and_end() -> None:
    pauses = list(growing_pauses(8.0))
    assert pauses[:3] == [0.01, 0.02, 0.04]
    assert max(pauses) == 1.0
    assert sum(pauses) == pytest.approx(8.0)
