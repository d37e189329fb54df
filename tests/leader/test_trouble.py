"""Nameservers and stores that fail for long: the trouble is shown, others are not held up, nothing spins."""

import asyncio
import itertools
import shutil
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from ddnsd.leader.context import LeaderContext, NameserverGates
from ddnsd.leader.zone import ZonePublisher
from ddnsd.model.fence import FenceOwner
from ddnsd.model.records import Candidacy, Placement, PlacementState, Work, WorkRequest
from ddnsd.model.request import Refusal, Updated
from ddnsd.model.resources import Kind
from ddnsd.nameserver.interface import (
    Nameserver,
    NoAnswerError,
    Rcode,
    RecordType,
    Replace,
    RRset,
    Update,
)
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.nameserver.wire import MAX_MESSAGE, update_message
from ddnsd.store import keys
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from ddnsd.store.interface import Leadership, UnavailableError
from ddnsd.store.tables import encode
from ddnsd.telemetry.metrics import Metrics
from tests.leader.faults import Fault, FaultyStore, Trigger
from tests.leader.moody import Judge, Moody, moody_node
from tests.leader.node import (
    BLOG,
    POLICY,
    ZONE,
    Node,
    embedded_nameservers,
    example,
    host,
    node_on,
    served,
    single_node,
    zone,
)
from tests.narrow import only
from tests.rigs import NameserverRig, Record
from tests.tasks import running

PLACEMENT = Placement(ZONE, "default")
FOREIGN = "ddnsd1 installation=other cluster=other epoch=1 claim=x"


def _drop(_: Update) -> Rcode:
    raise NoAnswerError("the connection was reset")


@pytest.mark.parametrize("mood", [_drop, lambda _: Rcode.NXRRSET, lambda _: Rcode.REFUSED])
async def test_what_fails_for_ever_does_not_spin(tmp_path: Path, mood: Judge) -> None:
    """It answers questions, so it is not silent; and it takes no UPDATE."""
    async with moody_node(tmp_path, timeout=0.5) as (node, moody):
        await node.published()
        moody.judge = mood
        assert await node.update(BLOG, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        assert await moody.asked(8) > 8 * POLICY.probe_interval / 5
        moody.judge = lambda _: None
        await node.published()
        assert await served(moody) == node.wanted()


async def test_trouble_is_shown_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        moody.judge = lambda _: Rcode.NOTAUTH
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: "NOTAUTH" in node.state.placements[PLACEMENT].value.error)
        shown: set[str] = set()
        node.cache.subscribe(lambda _: shown.add(node.state.placements[PLACEMENT].value.error))
        await moody.asked(6)
        assert "" not in shown
        moody.judge = lambda _: None
        assert isinstance(await waiting, Updated)
        assert node.state.placements[PLACEMENT].value == PlacementState(verified_in=node.state.identity)


@pytest.mark.parametrize("work", [Work.CHECK, Work.REPAIR])
async def test_zone_that_is_not_published_is_not_said_to_be_well(tmp_path: Path, work: Work) -> None:
    """Nor just after its creation, when it is not known yet whether it will be."""
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        moody.judge = lambda _: Rcode.REFUSED
        await node.apply(zone("fresh.test"))
        answer = await _ask(node, "fresh.test", work)
        assert answer.failure.startswith(
            "fresh.test is not published: REFUSED to a claim of the zone's fence"
        )
        assert "let ddnsd's key update the zone" in answer.failure
        moody.judge = lambda _: None
        await node.published("fresh.test")
        answer = await _ask(node, "fresh.test", work)
        assert (answer.failure, answer.findings) == ("", ())


async def _ask(node: Node, name: str, work: Work) -> WorkRequest:
    answer = await node.registry.work.finished(await node.registry.work.request(name, work), 5)
    assert answer is not None
    return answer


@pytest.mark.logs_errors
async def test_publisher_that_falls_falls_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bug with one zone is no reason to publish no other."""
    async with moody_node(tmp_path) as (node, moody):

        def bug(update: Update) -> None:
            if update.zone == "cursed.test":
                raise ValueError("nobody thought of that")

        moody.judge = bug
        await node.apply(zone("cursed.test"), host("x.cursed.test"))
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
        await node.until(lambda: "lane.fell" in caplog.text)
        assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        assert node.candidate.publisher is not None


def _refuse_blog(update: Update) -> Rcode | None:
    bad = any(isinstance(change, Replace) and change.name == BLOG for change in update.changes)
    return Rcode.REFUSED if bad else None


@pytest.mark.parametrize("transfers", [True, False])
async def test_refused_record_is_tried_again_at_each_reconcile(tmp_path: Path, transfers: bool) -> None:
    async with moody_node(tmp_path, reconcile=0.2) as (node, moody):
        await node.published()
        moody.transfers, moody.judge = transfers, _refuse_blog
        assert await node.update(BLOG, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        pushed = len(moody.updates)
        moody.judge = lambda _: None
        await node.until(lambda: not any(entry.value.error for entry in node.state.published.values()))
        assert len(moody.updates) == pushed + 1
        assert await served(moody.real) == node.wanted()


async def test_lost_fence_where_no_transfer_is_allowed(tmp_path: Path) -> None:
    """What cannot be compared is published anew, and then the zone counts as known."""
    async with moody_node(tmp_path) as (node, moody):
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        moody.transfers = False
        lost = (Replace(f"_ddnsd.{ZONE}", RecordType.TXT, 0, ()), Replace(BLOG, RecordType.A, 0, ()))
        await moody.real.update(Update(ZONE, (), lost))
        await node.apply(host("www.example.com"))
        assert isinstance(await node.update("www.example.com", "192.0.2.7"), Updated)
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        assert await served(moody.real) == node.wanted()


async def _scribble(server: Nameserver, text: str) -> None:
    fence = Replace(f"_ddnsd.{ZONE}", RecordType.TXT, 60, (text,))
    assert await server.update(Update(ZONE, (), (fence,))) is Rcode.NOERROR


async def test_foreign_fence_is_shown_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        await _scribble(moody.real, FOREIGN)
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: node.state.placements[PLACEMENT].value.holder == FOREIGN)
        shown: set[str] = set()
        node.cache.subscribe(
            lambda _: shown.add((noted := node.state.placements[PLACEMENT].value).holder and noted.error)
        )
        await moody.asked(3)
        assert "" not in shown
        assert await served(moody.real) == {}
        await moody.real.update(Update(ZONE, (), (Replace(f"_ddnsd.{ZONE}", RecordType.TXT, 0, ()),)))
        assert isinstance(await waiting, Updated), "its fence was given back"
        well = PlacementState(verified_in=node.state.identity)
        await node.until(lambda: node.state.placements[PLACEMENT].value == well)


async def test_text_of_a_wildcard_is_nobody_s_fence(
    tmp_path: Path, store: EmbeddedStore, nameserver_rig: NameserverRig
) -> None:
    await nameserver_rig.add_foreign(Record(f"*.{ZONE}", 60, "TXT", '"v=spf1 -all"'))
    nameserver = Rfc2136Nameserver(nameserver_rig.settings)
    async with node_on(store, {"default": nameserver}) as node:
        node.lead()
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        assert await nameserver_rig.query(BLOG, "A") == ("192.0.2.1",)
        assert await nameserver_rig.query(f"mail.{ZONE}", "TXT") == ('"v=spf1 -all"',)
    await nameserver.close()


async def test_takeover_of_a_zone_that_is_leaving(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await _scribble(servers["default"], FOREIGN)
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await node.until(lambda: node.state.placements[PLACEMENT].value.holder == FOREIGN)
        assert not (await _ask(node, ZONE, Work.TAKEOVER)).failure
        await node.until(lambda: not node.state.placements and not node.state.addresses)


def _silence(_: Update) -> None:
    raise NoAnswerError("no answer to an UPDATE")


async def test_takeover_that_came_too_late_is_not_done(tmp_path: Path, store: EmbeddedStore) -> None:
    """Who asked has been told that it was not done."""
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        await node.apply(*example())
        metrics = Metrics(CollectorRegistry())
        leadership = await store.campaign(encode(Candidacy("node")))
        owner = FenceOwner("mine", store.identity)
        moody = Moody(servers["default"])
        context = LeaderContext(node.cache, node.commits, leadership, owner, POLICY, metrics)
        publisher = ZonePublisher(PLACEMENT, moody, context, NameserverGates(moody), [])
        async with running(publisher.run()):
            await node.until(lambda: publisher.context.claim is not None)  # none is on its way
            moody.judge = _silence
            publisher.reclaim()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * POLICY.probe_interval):
                    await publisher.work(Work.TAKEOVER)
            await _scribble(moody.real, FOREIGN)
            moody.judge = lambda _: None
            await node.until(lambda: node.state.placements[PLACEMENT].value.holder == FOREIGN)
            await moody.asked(3)
            fence = only(RRset, await moody.real.query(ZONE, f"_ddnsd.{ZONE}", RecordType.TXT))
            assert fence.values == (FOREIGN,)
            assert await publisher.work(Work.TAKEOVER)


async def test_full_disk_under_the_embedded_nameserver(tmp_path: Path) -> None:
    """No serial can be reserved: the zone waits, and opens when there is room again."""
    async with single_node(tmp_path) as (node, _):
        shutil.rmtree(tmp_path / "default")
        await node.apply(*example())
        await node.until(lambda: PLACEMENT in node.state.placements)
        assert "serial" in node.state.placements[PLACEMENT].value.error
        (tmp_path / "default").mkdir()
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)


class _AwayAtElections(FaultyStore):
    async def campaign(self, value: bytes, election: str = keys.ELECTION) -> Leadership:
        if self._trigger.next():
            raise UnavailableError("no quorum")
        return await super().campaign(value, election)


async def test_election_waits_for_the_store(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store")
    try:
        trigger = Trigger(Fault.LOST, 1)
        async with (
            embedded_nameservers(tmp_path) as servers,
            node_on(_AwayAtElections(store, trigger), servers) as node,
        ):
            node.lead()
            await node.until(lambda: node.candidate.publisher is not None)
        assert trigger.happened
    finally:
        await store.close()


async def test_names_of_full_length_fit_one_message(tmp_path: Path) -> None:
    """A batch of 200 such names would be 100,000 octets: more than a message can have."""
    sizes: list[int] = []

    def weigh(update: Update) -> None:
        sizes.append(len(update_message(0, update)))

    async with moody_node(tmp_path) as (node, moody):
        moody.judge = weigh
        label = "x" * 63
        names = [f"{number:03}{label[3:]}.{label}.{label}.{'y' * 45}.{ZONE}" for number in range(300)]
        await node.apply(*map(host, names))
        await asyncio.gather(*(node.update(name, "192.0.2.1") for name in names))
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await node.until(lambda: not node.state.placements)
    assert 30_000 < max(sizes) < MAX_MESSAGE - 1000


async def test_what_fails_again_and_again_is_tried_less_and_less(tmp_path: Path) -> None:
    """Each pause is at least twice the one before, from the second on."""
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        tries: list[float] = []

        def refuse(_: Update) -> Rcode:
            tries.append(time.monotonic())
            return Rcode.REFUSED

        moody.judge = refuse
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: len(tries) >= 7)  # two for the push: the batch, then the fence alone
        moody.judge = lambda _: None
        pauses = [after - before for before, after in itertools.pairwise(tries[2:])]
        for number, pause in enumerate(pauses):
            assert pause >= POLICY.probe_interval * 2**number * 0.9
        assert isinstance(await waiting, Updated), "and it is done, once it can be"


def _no_removal(update: Update) -> Rcode | None:
    """Take claims, and nothing else."""
    fences = all(change.name.startswith(POLICY.fence_label) for change in update.changes)
    return None if fences else Rcode.REFUSED


@pytest.mark.parametrize("mood", [lambda _: Rcode.REFUSED, _no_removal])
async def test_a_zone_that_cannot_be_removed_is_shown_and_can_be_given_up(
    tmp_path: Path, mood: Judge
) -> None:
    async with moody_node(tmp_path) as (node, moody):
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        moody.judge = mood
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await node.until(lambda: bool(node.state.placements[PLACEMENT].value.error))
        since = node.state.placements[PLACEMENT].value.since
        assert since is not None
        tried = len(moody.updates)
        await node.until(lambda: len(moody.updates) >= tried + 4)
        await node.until(lambda: bool(node.state.placements[PLACEMENT].value.error))
        assert node.state.placements[PLACEMENT].value.since == since, "it is still the same trouble"
        assert node.state.addresses, "what cannot be removed is remembered"
        given_up = await _ask(node, ZONE, Work.FORGET)
        assert not given_up.failure
        assert "stay there" in given_up.findings[0]
        await node.until(lambda: not (node.state.placements or node.state.addresses or node.state.published))


async def test_a_zone_that_lives_is_not_given_up(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.published()
        refused = await _ask(node, ZONE, Work.FORGET)
        where = "but at default, where it lives: delete or move it"
        assert refused.failure == f"nothing is left of {ZONE} anywhere {where}"
        await node.update(BLOG, "192.0.2.1")
        assert await served(servers["default"]) == node.wanted()


@pytest.mark.logs_errors  # "nameserver.unknown"
async def test_a_place_whose_nameserver_is_unknown_can_be_given_up(tmp_path: Path) -> None:
    async with single_node(tmp_path, "default", "second") as (node, servers):
        await node.apply(*example())
        await node.published()
        await node.apply(zone(nameserver="second"))
        await node.published()
        stray = Placement(ZONE, "gone")
        await node.commits.commit(StoreUpdate({}, {keys.placement(stray): encode(PlacementState())}))
        await node.until(lambda: stray in node.state.placements)
        assert not (await _ask(node, ZONE, Work.FORGET)).failure
        await node.until(lambda: stray not in node.state.placements)
        await node.update(BLOG, "192.0.2.1")
        assert await served(servers["second"]) == node.wanted()


async def test_a_check_says_at_once_that_the_nameserver_is_silent(tmp_path: Path) -> None:
    """It is asked once more, though there was a longer pause to come."""
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        moody.is_silent, moody.judge = True, _drop
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: bool(node.state.placements[PLACEMENT].value.error))
        await node.until(lambda: moody.queries > 5)
        answer = await _ask(node, ZONE, Work.CHECK)
        assert answer.failure.startswith(f"{ZONE} is not published: ")
        moody.is_silent, moody.judge = False, lambda _: None
        assert isinstance(await waiting, Updated)


async def test_work_on_a_zone_that_is_another_s_says_so(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.published()
        await _scribble(servers["default"], FOREIGN)
        waiting = asyncio.create_task(node.update(BLOG, "192.0.2.1"))
        await node.until(lambda: node.state.placements[PLACEMENT].value.holder == FOREIGN)
        done = await _ask(node, ZONE, Work.CHECK)
        assert done.failure.startswith(f"nothing is published, the fence is held by {FOREIGN!r}")
        assert f"`ddnsd zone takeover {ZONE}` takes it" in done.failure
        assert not (await _ask(node, ZONE, Work.TAKEOVER)).failure
        assert isinstance(await waiting, Updated)
