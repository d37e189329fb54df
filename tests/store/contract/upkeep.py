from ddnsd.store.interface import Store

from .actions import put


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

    async def test_compaction_leaves_the_present(self, store: Store) -> None:
        await put(store, "hosts/a", b"1")
        revision = await put(store, "hosts/a", b"2")
        before = await store.snapshot()
        assert await store.compact(revision)
        assert await store.compact(revision), "twice"
        assert await store.snapshot() == before
        assert await put(store, "hosts/a", b"3") > revision
