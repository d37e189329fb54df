"""What docs/multi-region.md promises of three regions, tried by losing parts of them under load."""

import asyncio
import contextlib
import time
from typing import NamedTuple

import dns.exception
import pytest

from tests.rigs.base import NameserverRig
from tests.share import FULL_SHARE
from tests.system.history import History, read_history
from tests.system.installation import example
from tests.system.judge import judge
from tests.system.load import NOT_PUBLISHED, NOT_STORED, UNCHANGED, UPDATED, address
from tests.system.losses import (
    Loss,
    cut_off,
    dead,
    leader_killed,
    member_killed,
    primary_killed,
    primary_moved,
    without_link,
)
from tests.system.regional_traffic import CHANGED, KEPT, RESIDENTS, RegionalTraffic
from tests.system.regions import HOME, MEMBERS, NEXT, PREFIX, Region, Regions
from tests.waiting import until

FIRST, SECOND, THIRD = (address(1 << 20 | number) for number in range(3))
WARMTH = 10.0 if FULL_SHARE else 3.0  # seconds of load before anything breaks
NEXT_LEADER = 15.0  # seconds: lease_ttl, a second, an election of etcd, and a busy machine
BACK = 15.0  # seconds after the heal in which the best node leads, and all is served everywhere

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


class Scenario(NamedTuple):
    """What is lost; what a change in each region is answered meanwhile, in order; and who leads."""

    loss: Loss
    answers: tuple[str | None, str | None, str | None]  # None: nobody is there
    leader: str = HOME
    leader_afterwards: str = HOME


SCENARIOS = {
    "a region": Scenario(cut_off("us-east"), (UPDATED, NOT_STORED, UPDATED)),
    "the leader's": Scenario(cut_off(HOME), (NOT_STORED, NOT_PUBLISHED, NOT_PUBLISHED), NEXT),
}
IN_FULL = {
    "the smallest region": Scenario(cut_off("ap-south"), (UPDATED, UPDATED, NOT_STORED)),
    "a region, dead": Scenario(dead("us-east"), (UPDATED, None, UPDATED)),
    "the leader's, dead": Scenario(dead(HOME), (None, NOT_PUBLISHED, NOT_PUBLISHED), NEXT),
    "the leader's, for good": Scenario(primary_moved, (None, UPDATED, UPDATED), NEXT, NEXT),
    "a link of the leader's": Scenario(without_link(HOME, "us-east"), (UPDATED, UPDATED, UPDATED)),
    "the other link of the leader's": Scenario(without_link(HOME, "ap-south"), (UPDATED, UPDATED, UPDATED)),
    "another link": Scenario(without_link("us-east", "ap-south"), (UPDATED, UPDATED, UPDATED)),
    "the leader": Scenario(leader_killed, (None, UPDATED, UPDATED), NEXT),
    "the primary": Scenario(primary_killed, (NOT_PUBLISHED, NOT_PUBLISHED, NOT_PUBLISHED)),
    "an etcd member": Scenario(member_killed, (UPDATED, UPDATED, UPDATED)),
}
if FULL_SHARE:
    SCENARIOS |= IN_FULL


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
async def test_lost_for_a_while(regions: Regions, scenario: Scenario) -> None:
    """Every region answers what it should; in the end nothing is lost, and all of it is served everywhere."""
    await _prepare(regions)
    answers = {name: answer for name, answer in zip(MEMBERS, scenario.answers, strict=True) if answer}
    async with RegionalTraffic(regions) as traffic:
        await traffic.go_on(WARMTH)
        async with scenario.loss(regions):
            taken_over, *_ = await asyncio.gather(
                until(lambda: regions.is_led_by(scenario.leader), NEXT_LEADER, "it is led"),
                *(_answers(regions.all[name], answer) for name, answer in answers.items()),
            )
            for name, answer in answers.items():
                await _tells(regions.all[name], has_store=answer != NOT_STORED)
        healed = time.monotonic()
        await until(lambda: regions.is_led_by(scenario.leader_afterwards), BACK, "the best one leads")
        led = time.monotonic() - healed
        await traffic.stop()
        await asyncio.to_thread(regions.etcd.wait)  # etcdctl asks one member, which may have been cut off
        history = read_history(regions.etcd, PREFIX)
        for server in {regions.primary, *(region.secondary for region in regions.all.values())}:
            await _serves(server, history, healed + BACK - time.monotonic())
    back = time.monotonic() - healed
    print(f"led after {taken_over:.1f} s; healed: led after {led:.1f} s, all is served after {back:.1f} s")
    _judge(traffic, history)
    for region in regions.all.values():
        await _knows(region, history)
    for name, region in regions.all.items():
        assert (await region.node.update(CHANGED[name], THIRD)).message == UPDATED
    assert await regions.is_led_by(scenario.leader_afterwards)


async def _prepare(regions: Regions) -> None:
    """Make all names; the names that residents leave alone get an address."""
    names = (host for hosts in (*RESIDENTS.values(), KEPT.values(), CHANGED.values()) for host in hosts)
    await regions.home.node.apply(*example(list(names)))
    regions.lead_etcd_from(HOME)
    for name, region in regions.all.items():
        for host in (KEPT[name], CHANGED[name]):
            assert (await region.node.update(host, FIRST)).message == UPDATED


async def _answers(region: Region, answer: str) -> None:
    """A change gets this answer; what is no change is answered wherever there is etcd."""
    kept, changed = await asyncio.gather(
        region.node.update(KEPT[region.name], FIRST), region.node.update(CHANGED[region.name], SECOND)
    )
    assert kept.message == (NOT_STORED if answer == NOT_STORED else UNCHANGED)
    assert changed.message == answer


async def _tells(region: Region, *, has_store: bool) -> None:
    """DNS health checks are told, and names resolve all the same."""
    assert (await region.node.public.get("/healthz")).status == (200 if has_store else 503)
    await _resolves(region.secondary)


async def _resolves(server: NameserverRig) -> None:
    for hosts in (*RESIDENTS.values(), KEPT.values(), CHANGED.values()):
        for host in hosts:
            assert await server.query(host, "A"), host


async def _serves(server: NameserverRig, history: History, seconds: float) -> None:
    missing = {host: commits[-1].address for host, commits in history.items()}

    async def does() -> bool:
        for host, newest in list(missing.items()):
            with contextlib.suppress(OSError, dns.exception.DNSException):
                if await server.query(host, "A") == (newest,):
                    del missing[host]
        return not missing

    await until(does, seconds, f"{type(server).__name__} at {server.place} serves all")


def _judge(traffic: RegionalTraffic, history: History) -> None:
    verdict = judge(traffic.record, history)
    assert not verdict.faults
    for record in traffic.secondaries.values():
        assert not judge(record, history).faults
    answers, commits = len(traffic.record.answers), len(verdict.publications)
    print(f"{answers} answers, {traffic.record.lost} lost, {commits} commits")


async def _knows(region: Region, history: History) -> None:
    """The node shows the newest addresses, as published."""
    hosts = (await region.node.admin("GET", "hosts?limit=1000")).json["items"]
    shown = {host["metadata"]["name"]: host["status"]["A"] for host in hosts}
    assert {host: status["ip"] for host, status in shown.items()} == {
        host: commits[-1].address for host, commits in history.items()
    }
    assert all(status["published"] and not status["error"] for status in shown.values()), shown
