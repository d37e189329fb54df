"""Zones and their nameservers, with the real program: moved, deleted, side by side, held by others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.rigs import BindRig, KnotRig
from tests.rigs.base import NameserverRig
from tests.rigs.client import NotServedError, Record
from tests.rigs.documents import document
from tests.system.installation import Installation, example
from tests.system.load import NOT_PUBLISHED, UNCHANGED, UPDATED
from tests.waiting import stays, until

ZONE, BLOG = "example.com", "blog.example.com"
NAMES = [f"h{number}.example.com" for number in range(30)]
FENCE = f"_ddnsd.{ZONE}"
FOREIGN = Record("www.example.com", 300, "A", "203.0.113.5")
QUICK = {"reconcile_interval": 1, "probe_interval": 0.2}


@contextlib.asynccontextmanager
async def two_nameservers(folder: Path) -> AsyncIterator[tuple[Installation, BindRig, KnotRig]]:
    """Run a node with BIND as `default`, where the zone lives, and Knot as `second`."""
    async with BindRig() as bind, KnotRig() as knot:
        rigs: dict[str, NameserverRig] = {"default": bind, "second": knot}
        async with Installation(folder, rigs=rigs) as ddnsd:
            await ddnsd.apply(*example([BLOG, *NAMES]))
            yield ddnsd, bind, knot


async def _publish(ddnsd: Installation, ip: str) -> None:
    replies = await asyncio.gather(*(ddnsd.update(name, ip) for name in (BLOG, *NAMES)))
    assert {reply.message for reply in replies} == {UPDATED}


async def _ours(rig: NameserverRig) -> set[Record]:
    """Return what is in the zone beside what was there from the start."""
    base = {record for record in await rig.zone_records(ZONE) if record.type in ("SOA", "NS")}
    glue = Record(f"ns.{ZONE}", 3600, "A", "127.0.0.1")
    return await rig.zone_records(ZONE) - base - {glue, FOREIGN}


async def test_zone_moves(tmp_path: Path) -> None:
    async with two_nameservers(tmp_path) as (ddnsd, bind, knot):
        await bind.add_foreign(FOREIGN)
        await knot.add_foreign(FOREIGN)
        await _publish(ddnsd, "192.0.2.1")
        before = {record for record in await _ours(bind) if record.type == "A"}
        assert len(before) == 31
        knot.freeze()
        await ddnsd.apply(document("Zone", ZONE, nameserver="second"))

        async def are_served() -> bool:
            return await _ours(bind) >= before

        await stays(are_served, 0.5, "nothing leaves before all of it is published at the new home")
        knot.thaw()

        async def moved() -> bool:
            return not await _ours(bind)

        await until(moved, 10, "the old nameserver is left, fence and all")
        assert {record for record in await _ours(knot) if record.type == "A"} == before
        assert FOREIGN in await bind.zone_records(ZONE)
        assert FOREIGN in await knot.zone_records(ZONE)
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UNCHANGED
        assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
        assert await knot.query(BLOG, "A") == ("192.0.2.2",)


async def test_restart_while_the_zone_moves_away(tmp_path: Path) -> None:
    """It keeps no records: it must be given what it serves until the new home is complete."""
    async with KnotRig() as knot:
        key = tmp_path / "second.key"
        key.write_text(knot.secret_text)
        key.chmod(0o600)
        second = {
            "kind": "rfc2136",
            "address": knot.address,
            "port": knot.port,
            "key": {"name": knot.key_name, "secret_file": str(key)},
        }
        nameservers = {"default": {"kind": "embedded", "listen": "127.0.0.1:0"}, "second": second}
        async with Installation(tmp_path, nameservers=nameservers) as ddnsd:
            await ddnsd.apply(*example([BLOG]))
            assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
            knot.freeze()
            await ddnsd.apply(document("Zone", ZONE, nameserver="second"))
            await ddnsd.kill()
            await ddnsd.start()

            async def served() -> bool:
                with contextlib.suppress(NotServedError):
                    return await ddnsd.query(BLOG, "A") == ("192.0.2.1",)
                return False

            await until(served, 5, "the old home serves on")
            knot.thaw()

            async def left() -> bool:
                try:
                    return not await ddnsd.query(BLOG, "A")
                except NotServedError:
                    return True

            await until(left, 10, "the zone has moved")
            assert await knot.query(BLOG, "A") == ("192.0.2.1",)


async def test_zone_is_deleted(tmp_path: Path, nameserver_rig: NameserverRig) -> None:
    async with Installation(tmp_path, nameserver_rig) as ddnsd:
        await nameserver_rig.add_foreign(FOREIGN)
        await ddnsd.apply(*example([BLOG, *NAMES]))
        await _publish(ddnsd, "192.0.2.1")
        assert (await ddnsd.admin("DELETE", f"zones/{ZONE}")).status == 409
        assert (await ddnsd.admin("DELETE", f"zones/{ZONE}?cascade=true")).status == 200

        async def clean() -> bool:
            return not await _ours(nameserver_rig)

        await until(clean, 5, "records and fence have left")
        assert FOREIGN in await nameserver_rig.zone_records(ZONE)
        await ddnsd.apply(*example([BLOG]))
        again = await ddnsd.update(BLOG, "192.0.2.1")
        assert (again.message, again.json["data"]["old_ip"]) == (UPDATED, "")


async def test_frozen_nameserver_delays_no_other_zone(tmp_path: Path) -> None:
    """And nobody is told of a success that is none."""
    async with BindRig() as bind, KnotRig(zones=["example.net"]) as knot:
        rigs: dict[str, NameserverRig] = {"default": bind, "second": knot}
        async with Installation(tmp_path, rigs=rigs, publish={"timeout": 5}) as ddnsd:
            await ddnsd.apply(*example([BLOG]))
            other = document("Zone", "example.net", nameserver="second")
            await ddnsd.apply(other, document("Host", "a.example.net", account="alice"))
            assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
            assert (await ddnsd.update("a.example.net", "192.0.2.1")).message == UPDATED
            bind.freeze()
            try:
                stuck = asyncio.create_task(ddnsd.update(BLOG, "192.0.2.2"))
                for number in range(2, 30):
                    async with asyncio.timeout(4):  # Knot alone takes a second now and then
                        assert (await ddnsd.update("a.example.net", f"192.0.2.{number}")).message == UPDATED
                assert (await stuck).message == NOT_PUBLISHED
            finally:
                bind.thaw()
            assert (await ddnsd.update(BLOG, "192.0.2.2")).message in (UPDATED, UNCHANGED)
            assert await bind.query(BLOG, "A") == ("192.0.2.2",)


class _NoTransfers(BindRig):
    """BIND that gives no zone away."""

    def _configuration(self) -> str:
        allowed = f'allow-transfer {{ key "{self.key_name}"; }};'
        return super()._configuration().replace(allowed, "allow-transfer { none; };")


async def test_transfer_is_refused(tmp_path: Path) -> None:
    async with _NoTransfers() as bind, Installation(tmp_path, bind) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UNCHANGED
        await ddnsd.terminate()
        for name, type in ((FENCE, "TXT"), (BLOG, "A")):
            await bind.remove_foreign(name, type)
        await ddnsd.start()

        async def published_anew() -> bool:
            return await bind.query(BLOG, "A") == ("192.0.2.1",)

        await until(published_anew, 5, "what cannot be compared is published anew")
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message in (UPDATED, UNCHANGED)
        check = await ddnsd.admin("POST", f"zones/{ZONE}/check")
        assert "REFUSED" in check.body.decode(), check.body

        await bind.remove_foreign(BLOG, "A")
        repair = await ddnsd.admin("POST", f"zones/{ZONE}/repair")
        assert "everything is published anew" in repair.json["findings"][0]
        await until(published_anew, 5, "a repair needs no transfer")


async def _status(ddnsd: Installation) -> dict[str, Any]:
    found: dict[str, Any] = (await ddnsd.admin("GET", "status")).json["zones"][0]
    return found


async def test_nameserver_that_is_not_configured_any_more(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with Installation(tmp_path, bind_rig, publish={"timeout": 0.5}) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        await ddnsd.terminate()
        section = ddnsd.config["nameservers"].pop("default")
        ddnsd.config["nameservers"]["renamed"] = section
        await ddnsd.start()

        async def told() -> bool:
            return "has no nameserver 'default' in its config.yaml" in (await _status(ddnsd))["error"]

        await until(told, 5, "status tells")
        assert (await ddnsd.update(BLOG, "192.0.2.2")).message == NOT_PUBLISHED
        assert await bind_rig.query(BLOG, "A") == ("192.0.2.1",)
        await ddnsd.apply(document("Zone", ZONE, nameserver="renamed"))
        assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
        assert (await _status(ddnsd))["error"] == ""


async def test_timer_repairs_drift_and_tries_refused_records_again(
    tmp_path: Path, bind_rig: NameserverRig
) -> None:
    bad = NAMES[0]
    await bind_rig.add_foreign(Record(bad, 60, "CNAME", "elsewhere.example.net."))
    async with Installation(tmp_path, bind_rig, publish=QUICK) as ddnsd:
        await ddnsd.apply(*example([BLOG, bad]))
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        assert (await ddnsd.update(bad, "192.0.2.7")).message == NOT_PUBLISHED
        await bind_rig.remove_foreign(bad, "CNAME")
        await bind_rig.remove_foreign(BLOG, "A")

        async def repaired() -> bool:
            return [await bind_rig.query(name, "A") for name in (BLOG, bad)] == [
                ("192.0.2.1",),
                ("192.0.2.7",),
            ]

        await until(repaired, 5, "the next reconcile has mended both")
        assert (await ddnsd.update(bad, "192.0.2.7")).message in (UPDATED, UNCHANGED)
        assert not (await ddnsd.admin("GET", f"hosts/{bad}")).json["status"]["A"].get("error")


async def test_two_installations_on_one_zone(tmp_path: Path, bind_rig: NameserverRig) -> None:
    """The second publishes nothing and says whose the zone is, until it is told to take it over."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    quick = {"timeout": 0.5, **QUICK}
    async with Installation(tmp_path / "one", bind_rig, publish=quick) as one:
        await one.apply(*example([BLOG]))
        assert (await one.update(BLOG, "192.0.2.1")).message == UPDATED
        async with Installation(tmp_path / "two", bind_rig, publish=quick) as two:
            await two.apply(*example([BLOG]))
            assert (await two.update(BLOG, "192.0.2.2")).message == NOT_PUBLISHED
            assert await bind_rig.query(BLOG, "A") == ("192.0.2.1",)
            mine = (await one.admin("GET", "status")).json["installation"]
            held = await _status(two)
            assert f"installation={mine} " in held["fenceHeldBy"]
            assert "zone takeover" in held["error"]
            assert (await one.update(BLOG, "192.0.2.3")).message == UPDATED

            assert (await two.admin("POST", f"zones/{ZONE}/takeover")).status == 200
            assert (await two.update(BLOG, "192.0.2.2")).message in (UPDATED, UNCHANGED)
            assert await bind_rig.query(BLOG, "A") == ("192.0.2.2",)
            assert (await one.update(BLOG, "192.0.2.4")).message == NOT_PUBLISHED
            assert await bind_rig.query(BLOG, "A") == ("192.0.2.2",)
            other = (await two.admin("GET", "status")).json["installation"]
            assert f"installation={other} " in (await _status(one))["fenceHeldBy"]


async def test_unreachable_from_the_start(tmp_path: Path, bind_rig: NameserverRig) -> None:
    """It is said what is wrong; and when the nameserver comes, all is published."""
    await bind_rig.stop()
    async with Installation(tmp_path, bind_rig, publish={"timeout": 0.5, **QUICK}) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == NOT_PUBLISHED
        assert (await _status(ddnsd))["error"]
        await bind_rig.restart()

        async def published() -> bool:
            return await bind_rig.query(BLOG, "A") == ("192.0.2.1",) and not (await _status(ddnsd))["error"]

        await until(published, 5, "published, and no error shown any more")


async def test_leader_ends_before_its_nameservers(tmp_path: Path, bind_rig: NameserverRig) -> None:
    """Told to go with an UPDATE in flight, it does not take its own closing for trouble."""
    async with Installation(tmp_path, bind_rig, drain={"timeout": 0.2}) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        bind_rig.freeze()
        asking = asyncio.create_task(ddnsd.update(BLOG, "192.0.2.2"))
        await until(lambda: ddnsd.has_committed("192.0.2.2", BLOG), what="it waits for the nameserver")
        try:
            assert await ddnsd.terminate() == 0
        finally:
            bind_rig.thaw()
        await asyncio.gather(asking, return_exceptions=True)
        assert ddnsd.events("leader.resigned")
        assert not ddnsd.events("publish.trouble")
