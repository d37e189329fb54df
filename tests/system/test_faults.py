"""The promises, tried by breaking things under load. `make test-faults` runs all rounds."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rigs.base import NameserverRig
from tests.rigs.client import NotServedError
from tests.system.installation import Installation, example
from tests.system.load import UPDATED, Load, Witness, address, all_served, go_on, number, running
from tests.waiting import until

HOSTS = [f"h{number}.example.com" for number in range(24)]
BACK = 2.0  # seconds after its return in which the nameserver has all that was committed
Rounds = Callable[[int, int], int]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]


async def test_nameserver_killed(tmp_path: Path, nameserver_rig: NameserverRig, rounds: Rounds) -> None:
    async with Installation(tmp_path, nameserver_rig) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        load, witness = Load(ddnsd, HOSTS), Witness(nameserver_rig.query, HOSTS)
        async with running(witness.run(), load.run()) as clients:
            await go_on(2, *clients)
            nameserver_rig.kill()
            await go_on(rounds(6, 30), *clients)
            load.stop()
            await clients[1]
            await nameserver_rig.restart()
            await all_served(nameserver_rig, load.sent, BACK)
        assert witness.looks > len(HOSTS)
        assert load.lost == 0, load.answers
        assert load.answers[UPDATED] > 0, load.answers


async def test_nameserver_frozen(tmp_path: Path, nameserver_rig: NameserverRig, rounds: Rounds) -> None:
    """With UPDATEs in flight: what the frozen server still applies on its return is never the last word."""
    async with Installation(tmp_path, nameserver_rig) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        witness = Witness(nameserver_rig.query, HOSTS)
        load = Load(ddnsd, HOSTS)
        async with running(witness.run()):
            for turn in range(rounds(2, 50)):
                load = _more(ddnsd, load, seed=turn)
                async with running(load.run()) as (client,):
                    await go_on(random.Random(turn).uniform(0.3, 0.8), client)
                    nameserver_rig.freeze()
                    try:
                        await go_on(rounds(7, 15), client)  # longer than an UPDATE's timeout
                    finally:
                        nameserver_rig.thaw()
                    load.stop()
                    await client
                await all_served(nameserver_rig, load.sent, BACK)
        assert witness.looks > len(HOSTS)
        assert load.lost == 0


def _more(ddnsd: Installation, before: Load, seed: int) -> Load:
    """Return a load that counts on from where another ended."""
    load = Load(ddnsd, HOSTS, seed)
    load.sent.update(before.sent)
    load.done.update(before.done)
    return load


@pytest.mark.parametrize("kind", ["embedded", "bind"])
async def test_node_killed(
    tmp_path: Path, request: pytest.FixtureRequest, rounds: Rounds, kind: str, bind_rig: NameserverRig
) -> None:
    """kill -9 at any moment: no answered change is missing afterwards, in the store or at the nameserver."""
    rig = bind_rig if kind == "bind" else None
    chance = random.Random(kind)
    async with Installation(tmp_path, rig) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        load = Load(ddnsd, HOSTS)
        for turn in range(rounds(8, 200)):
            load = _more(ddnsd, load, seed=turn)
            async with running(load.run()) as (client,):
                await go_on(chance.uniform(0.05, 0.4), client)
                await ddnsd.kill()
                load.stop()
                await client
            await ddnsd.start()
            await _nothing_lost(ddnsd, rig, load)
        assert load.done != dict.fromkeys(HOSTS, 0)


async def _nothing_lost(ddnsd: Installation, rig: NameserverRig | None, load: Load) -> None:
    """Whatever was answered is there, or a newer value; and the nameserver comes to serve what is there."""
    stored = {}
    for host in HOSTS:
        status = (await ddnsd.admin("GET", f"hosts/{host}")).json.get("status", {})
        stored[host] = number((status["A"]["ip"],)) if "A" in status else 0
        assert load.done[host] <= stored[host] <= load.sent[host], host
    query = (rig or ddnsd).query

    async def served() -> bool:
        with contextlib.suppress(NotServedError):
            found = {host: number(await query(host, "A")) for host in HOSTS if stored[host]}
            return all(found[host] == stored[host] for host in found)
        return False

    await until(served, 5, "the nameserver serves what the store has")
    load.sent.update(stored)


async def test_no_gap_in_a_thousand_changes(
    tmp_path: Path, nameserver_rig: NameserverRig, rounds: Rounds
) -> None:
    host, changes = HOSTS[0], rounds(100, 1000)
    async with Installation(tmp_path, nameserver_rig) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        assert (await ddnsd.update(host, address(1))).message == UPDATED
        witness = Witness(nameserver_rig.query, [host])
        witness.seen[host] = 1  # from here on an empty answer counts as going back
        async with running(witness.run()):
            for value in range(2, changes + 2):
                reply = await ddnsd.update(host, address(value))
                assert reply.message == UPDATED, reply
        await witness.look(host)
        assert witness.seen[host] == changes + 1
        assert witness.looks > changes / 4


async def test_sigterm_answers_what_was_accepted(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with Installation(tmp_path, bind_rig) as ddnsd:
        await ddnsd.apply(*example(HOSTS))
        bind_rig.freeze()
        asking = [asyncio.create_task(ddnsd.update(host, "192.0.2.1")) for host in HOSTS]
        await until(lambda: ddnsd.has_committed("192.0.2.1", *HOSTS), what="all wait for the nameserver")
        ending = asyncio.create_task(ddnsd.terminate())
        await until(lambda: bool(ddnsd.events("drain.started")), what="it drains")
        bind_rig.thaw()
        assert {reply.message for reply in await asyncio.gather(*asking)} == {UPDATED}
        assert await ending == 0
