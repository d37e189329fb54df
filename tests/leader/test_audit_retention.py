"""The leader keeps the newest audit entries, and no more."""

from pathlib import Path

from ddnsd.leader.context import LeaderContext
from ddnsd.leader.housekeeping import AuditRetention
from ddnsd.model.records import Candidacy
from ddnsd.store import keys, tables
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import ConditionalWrite
from tests.leader.node import POLICY
from tests.service.registry_node import Node, account, single_node
from tests.tasks import running
from tests.waiting import until

KEPT = 20


async def ids(node: Node) -> list[str]:
    found = await node.store.page(keys.audit(""), 1000, first=True)
    return [key.removeprefix(keys.audit("")) for key, _ in found.items]


async def test_the_oldest_entries_go(tmp_path: Path) -> None:
    async with single_node(tmp_path) as node:
        for number in range(130):
            key = keys.audit(f"2026-{number:03}")
            await node.commits.commit(ConditionalWrite({}, {key: b"{}", "things/kept": b""}))
        leadership = await node.store.campaign(tables.encode(Candidacy("node")))
        owner = await installation_owner(node.store)
        context = LeaderContext(*(node.cache, node.commits, leadership, owner, POLICY, node.metrics))
        retention = AuditRetention(node.store, context, most=KEPT, pause=0.01)

        async def is_trimmed() -> bool:
            return len(await ids(node)) <= KEPT

        async with running(retention.run()):
            await until(is_trimmed)
            assert await ids(node) == [f"2026-{number:03}" for number in range(110, 130)]
            await node.registry.apply([account("alice")])
            assert len(await ids(node)) == KEPT + 1
            retention.look()
            await until(is_trimmed)
            assert (await ids(node))[0] == "2026-111"
            assert len(await ids(node)) == KEPT
