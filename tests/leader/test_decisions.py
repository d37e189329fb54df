"""What follows from an answer or a failure: the rows of the table in docs/architecture.md, one by one."""

import asyncio
from pathlib import Path

from ddnsd.leader.context import LeaderContext, NameserverGates
from ddnsd.leader.zone import ZonePublisher
from ddnsd.model.addresses import Family
from ddnsd.model.fence import FenceOwner
from ddnsd.model.records import Candidacy, Placement, RecordKey
from ddnsd.model.request import Refusal, Updated
from ddnsd.nameserver.interface import NoAnswerError, Rcode, RecordType, Replace, Update
from ddnsd.store.embedded import EmbeddedStore
from ddnsd.store.tables import encode
from tests.leader.moody import Moody, moody_node
from tests.leader.node import BLOG, POLICY, ZONE, embedded_nameservers, example, host, node_on, served, zone
from tests.tasks import running

A, B, C = (f"{letter}.{ZONE}" for letter in "abc")
HOSTS = [host(name) for name in (A, B, C)]
PLACEMENT = Placement(ZONE, "default")
FOREIGN = "ddnsd1 installation=other cluster=other epoch=1 claim=x"


def record(name: str) -> RecordKey:
    return RecordKey(name, Family.A)


def fences(moody: Moody) -> set[tuple[str, ...]]:
    """Return the texts of all fences that were written."""
    changes = (change for update in moody.updates for change in update.changes)
    return {change.values for change in changes if change.name.startswith("_ddnsd.") and change.values}


async def test_of_a_refused_batch_only_the_record_at_fault_is_blamed(tmp_path: Path) -> None:
    async with moody_node(tmp_path) as (node, moody):
        await node.apply(*HOSTS)
        for name in (A, B, C):
            await node.update(name, "192.0.2.1")
        claims = fences(moody)
        moody.judge = lambda update: Rcode.REFUSED if B in {each.name for each in update.changes} else None
        answers = await asyncio.gather(*(node.update(name, "192.0.2.2") for name in (A, B, C)))
        assert [isinstance(answer, Updated) for answer in answers] == [True, False, True]
        assert answers[1] is Refusal.NAMESERVER_FAILED
        published = node.state.published[record(B)].value
        assert published.error is not None
        assert published.error.message == "the nameserver answered REFUSED to this record"
        assert published.ip == "192.0.2.1", "which it still serves"
        assert not node.state.placements[PLACEMENT].value.error, "the zone is not at fault"
        assert fences(moody) == claims, "nor is it claimed again"


async def test_a_record_that_is_refused_once_is_tried_again(tmp_path: Path) -> None:
    async with moody_node(tmp_path) as (node, moody):
        await node.published()
        left = [Rcode.SERVFAIL]

        def judge(update: Update) -> Rcode | None:
            return left.pop() if left and BLOG in {each.name for each in update.changes} else None

        moody.judge = judge
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
        assert not left


async def test_a_zone_is_served_at_its_old_home_until_the_new_one_is_complete(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    async with embedded_nameservers(tmp_path, "default", "second") as servers:
        second = Moody(servers["second"])

        def no_answer(update: Update) -> Rcode | None:
            if any(change.name == BLOG for change in update.changes):
                raise NoAnswerError("no answer to a record")
            return None

        second.judge = no_answer
        async with node_on(store, {"default": servers["default"], "second": second}) as node:
            node.lead()
            await node.apply(*example())
            await node.update(BLOG, "192.0.2.1")
            await node.apply(zone(nameserver="second"))
            await second.asked(12)
            assert record(BLOG) in await served(servers["default"])
            second.judge = lambda _: None
            await node.published()
            assert record(BLOG) in await served(servers["second"])


async def test_a_fence_that_was_replaced_is_noticed_by_a_comparison_alone(tmp_path: Path) -> None:
    async with moody_node(tmp_path, reconcile=0.05) as (node, moody):
        await node.published()
        foreign = Replace(f"_ddnsd.{ZONE}", RecordType.TXT, 60, (FOREIGN,))
        assert await moody.real.update(Update(ZONE, (), (foreign,))) is Rcode.NOERROR
        await node.until(lambda: node.state.placements[PLACEMENT].value.holder == FOREIGN)
        assert not node.state.placements[PLACEMENT].value.verified_in


async def test_a_comparison_of_an_older_claim_costs_the_new_one_nothing(
    tmp_path: Path, store: EmbeddedStore
) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        await node.apply(*example())
        moody = Moody(servers["default"])
        leadership = await store.campaign(encode(Candidacy("node")))
        owner = FenceOwner("mine", store.identity)
        context = LeaderContext(node.cache, node.commits, leadership, owner, POLICY, node.metrics)
        publisher = ZonePublisher(PLACEMENT, moody, context, NameserverGates(moody), [])
        moody.passes.clear()
        async with running(publisher.run()):
            await moody.transferring.wait()
            first = publisher.context.claim
            publisher.reclaim()
            await node.until(lambda: publisher.context.claim not in (None, first))
            second = publisher.context.claim
            moody.transferring.clear()
            moody.passes.set()  # what was asked for under the first claim shows the second
            await moody.transferring.wait()  # that of the second claim: the one before has been judged
            await node.until(lambda: publisher.context.is_verified)
            assert publisher.context.claim is second
            assert len(fences(moody)) == 2
