"""What the three health paths say when etcd is lost: who decides among nodes, and who among regions."""

from pathlib import Path

from ddnsd.web import replies
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation, example
from tests.system.load import NOT_STORED
from tests.waiting import until

BLOG = "blog.example.com"


async def test_a_lost_store_unreadies_no_node_and_turns_dns_health_checks_away(tmp_path: Path) -> None:
    with EtcdRig(versions()[0]) as etcd:
        (member,) = etcd.members
        store = {"kind": "etcd", "timeout": 2, "etcd": {"endpoints": [member.url]}}
        async with Installation(tmp_path, store=store) as ddnsd:
            await ddnsd.apply(*example())
            assert await _answers(ddnsd) == (200, 200, 200)
            with member.frozen():
                assert (await ddnsd.update(BLOG, "192.0.2.1")).message == NOT_STORED
                await until(lambda: _tells(ddnsd, "the store: "), 20, "/readyz says why it is in trouble")
                assert await _answers(ddnsd) == (200, 200, 503)
                reply = await ddnsd.public.get("/healthz")
                assert reply.json == {"success": False, "error": replies.NO_STORE}
            await until(lambda: _is_able(ddnsd), 20, "it is able again")
            await until(lambda: _tells(ddnsd, ""), 20, "/readyz has no trouble to tell")


async def _answers(ddnsd: Installation) -> tuple[int, int, int]:
    """Return the status of liveness, readiness, and what DNS health checks see."""
    live, ready = await ddnsd.health.get("/healthz"), await ddnsd.health.get("/readyz")
    return live.status, ready.status, (await ddnsd.public.get("/healthz")).status


async def _tells(ddnsd: Installation, reason: str) -> bool:
    """Say whether the node is ready, and names this reason, or none for ""."""
    shown = (await ddnsd.health.get("/readyz")).json
    return shown["ready"] and (reason in "".join(shown["reasons"]) if reason else not shown["reasons"])


async def _is_able(ddnsd: Installation) -> bool:
    return (await ddnsd.public.get("/healthz")).status == 200
