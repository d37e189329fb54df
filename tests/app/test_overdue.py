"""What `status` says of processes that live and do nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from msgspec.structs import replace

from ddnsd.app.status import StatusReport
from ddnsd.model.addresses import Family
from ddnsd.model.records import Candidacy, Committed, Placement, PlacementState, RecordKey, SelfEnded
from ddnsd.nameserver.interface import Nameserver
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from tests.leader.node import BLOG, ZONE, Node, example, member, node_on
from tests.rigs.parts import watch_cache
from tests.rigs.virtual import pass_time, run_virtually
from tests.store.contract.actions import delete, put
from tests.tasks import running

LEADER = f"{keys.ELECTION}/1"


def test_a_leader_that_is_not_among_the_nodes(tmp_path: Path) -> None:
    run_virtually(_unseen_leader(tmp_path))


async def _unseen_leader(folder: Path) -> None:
    store = await open_embedded(folder / "store")
    cache = watch_cache(store)

    async def told() -> bool:
        await cache.current()
        warnings = (await report.status())["warnings"]
        return any("the leader abc has not been among the nodes" in warning for warning in warnings)

    async with running(cache.run()):
        await cache.current()
        report = StatusReport(store, cache, "me")
        await put(store, LEADER, tables.encode(Candidacy("abc")))
        assert not await told()
        await pass_time(16)
        assert await told()
        await put(store, keys.member("abc"), tables.encode(member(())))
        assert not await told()
        await delete(store, keys.member("abc"))
        assert not await told()
        await pass_time(16)
        assert await told()
        await delete(store, LEADER)
        assert not await told()
    await store.close()


async def warnings(store: EmbeddedStore, node: Node) -> str:
    await node.cache.current()
    return "\n".join((await StatusReport(store, node.cache, "me").status())["warnings"])


async def commit_address(store: EmbeddedStore, seconds_ago: float) -> None:
    changed = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    value = tables.encode(Committed("192.0.2.1", "", "id", changed))
    await put(store, keys.address(RecordKey(BLOG, Family.A)), value)


async def test_a_queue_that_does_not_move_though_the_nameserver_answers(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store")
    async with node_on(store, {"default": cast("Nameserver", None)}) as node:
        await node.apply(*example())
        await put(store, keys.member("abc"), tables.encode(replace(member(["default"]), name="one")))
        await put(store, LEADER, tables.encode(Candidacy("abc")))
        await commit_address(store, seconds_ago=20)
        assert "wait" not in await warnings(store, node)
        await commit_address(store, seconds_ago=40)
        assert f"1 records of {ZONE} wait, and none was published for 4" in await warnings(store, node)
        silent = PlacementState(error="no answer")
        await put(store, keys.placement(Placement(ZONE, "default")), tables.encode(silent))
        told = await warnings(store, node)
        assert "wait" not in told
        assert f"{ZONE} is not published: no answer" in told
        await delete(store, LEADER)
        assert "wait" not in await warnings(store, node)
    await store.close()


async def test_a_node_that_ended_itself(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store")
    async with node_on(store, {}) as node:
        ended = SelfEnded(datetime(2026, 7, 1, 12, 30, tzinfo=UTC), "it hung")
        await put(store, keys.member("abc"), tables.encode(replace(member(()), name="one", ended=ended)))
        told = await warnings(store, node)
    assert "one ended itself at 2026-07-01 12:30:00 UTC and was started again: it hung" in told
    await store.close()
