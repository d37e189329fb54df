"""The largest call that a client can make is one commit, with all that it depends on."""

from datetime import timedelta
from typing import Any

import pytest

from ddnsd.model.addresses import RRTYPES, Challenge, Family
from ddnsd.model.decision import Plan, decide
from ddnsd.model.records import RecordKey
from ddnsd.model.request import Refusal, Request
from ddnsd.service.update import MOST_REQUESTS, commitment
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE
from tests.model.world import NOW, World, read_all

NAMES = tuple(f"host.zone{number}.example" for number in range(MOST_REQUESTS))


@pytest.fixture
def world() -> World:
    """Return a world in which every name lies in a zone of its own, follows prefixes and expires."""
    world = World()
    world.account()
    world.token()
    for name in NAMES:
        world.zone(name.partition(".")[2])
        world.host(name, ipv6_suffix="::1", expires_after=3600)
        for type in RRTYPES:
            world.commit(RecordKey(name, type), "something else")
        world.see(name, NOW - timedelta(hours=1))
    return world


@pytest.mark.parametrize(
    "asked",
    [
        {"ip": "192.0.2.1", "ipv6": "2001:db8::1"},
        {"ip": "192.0.2.1", "prefix": "2001:db8::/64"},
        {"clear": tuple(Family)},
        {"clear": (Challenge.TXT,)},
        {"text": "value".ljust(43, "_")},
    ],
    ids=lambda asked: "+".join(asked),
)
def test_the_largest_call_fits_one_commit(world: World, asked: dict[str, Any]) -> None:
    for move in (True, False):
        requests = [
            Request(name, "", "secret", "", moves=not number)._replace(**asked)
            for number, name in enumerate(NAMES)
        ]
        attempt = read_all(*requests)
        assert not isinstance(attempt, Refusal)
        plan = decide(world.state, attempt, NOW)
        assert isinstance(plan, Plan)
        made = commitment(world.state, plan, requests[0], NOW)
        assert made is not None
        assert len(made.expects) <= MAX_KEYS_PER_UPDATE
        for name in NAMES:
            assert any(f"addresses/{name}/" in key for key in made.puts)
        if move:
            world.move("2001:db8:ffff::/64")  # another one that is on its way to all of them
