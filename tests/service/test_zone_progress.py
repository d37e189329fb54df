"""How far the records of each zone have come, as the status shows it."""

from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey
from ddnsd.service.status import ZoneProgress, zone_progress
from tests.model.world import BLOG, BLOG6, NOW, small_world

MAIL = RecordKey("mail.example.net", Family.A)


async def test_a_zone_without_addresses_is_left_out() -> None:
    assert await zone_progress(small_world().state) == {}


async def test_each_zone_counts_its_own_records() -> None:
    world = small_world()
    world.zone("example.net")
    world.placement("example.net")
    world.host(MAIL.name)
    world.commit(BLOG, "192.0.2.1")
    world.commit(BLOG6, "2001:db8::1")
    world.commit(MAIL, "192.0.2.2")
    world.publish(BLOG)
    world.refuse(BLOG6)
    progress = await zone_progress(world.state)
    assert progress["example.com"] == ZoneProgress(0, 1, NOW, None)
    assert progress["example.net"] == ZoneProgress(1, 0, None, NOW)


async def test_a_record_that_lies_in_no_zone_any_more_is_not_counted() -> None:
    world = small_world()
    world.commit(BLOG, "192.0.2.1")
    world.state.zones.drop("example.com")
    assert await zone_progress(world.state) == {}
