from ddnsd.store.interface import Store
from tests.store.contract.actions import put


class UpkeepContract:
    async def test_health_tells_each_server(self, store: Store) -> None:
        health = await store.health()
        assert health.servers
        for server in health.servers:
            assert server.name
            assert server.version
            assert server.error == ""
            assert server.size >= server.in_use > 0
        assert any(server.leads for server in health.servers)

    async def test_page_is_a_part_of_the_keys_in_order(self, store: Store) -> None:
        for key in ("audit/3", "audit/1", "audit/4", "audit/2", "hosts/a"):
            await put(store, key, key.encode())
        last = await store.page("audit/", 2)
        assert [key for key, _ in last.items] == ["audit/4", "audit/3"]
        assert last.items[0][1].value == b"audit/4"
        assert last.total == 4
        before = await store.page("audit/", 2, before="audit/3")
        assert ([key for key, _ in before.items], before.total) == (["audit/2", "audit/1"], 2)
        first = await store.page("audit/", 3, first=True)
        assert ([key for key, _ in first.items], first.total) == (["audit/1", "audit/2", "audit/3"], 4)
        assert await store.page("nothing/", 5) == ((), 0)

    async def test_compaction_leaves_the_present(self, store: Store) -> None:
        await put(store, "hosts/a", b"1")
        revision = await put(store, "hosts/a", b"2")
        before = await store.snapshot()
        assert await store.compact(revision)
        assert await store.compact(revision), "twice"
        assert await store.snapshot() == before
        assert await put(store, "hosts/a", b"3") > revision
