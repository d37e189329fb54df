"""What of a placement is pushed next."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ddnsd.model.addresses import Family
from ddnsd.model.publication import Push, Queue
from ddnsd.model.records import Placement, Published, RecordKey
from tests.model.whole_zone import is_settled
from tests.model.world import BLOG, BLOG6, NOW, PLACEMENT, World, small_world

A, B, C = (RecordKey(f"{letter}.example.com", Family.A) for letter in "abc")


@pytest.fixture
def world() -> World:
    world = small_world()
    for record in (A, B, C):
        world.host(record.name)
    return world


@pytest.fixture
def queue() -> Queue:
    return Queue(PLACEMENT)


def records(batch: tuple[Push, ...]) -> list[RecordKey]:
    return [push.want.record for push in batch]


def test_the_newest_value_is_pushed_however_often_it_changed(world: World, queue: Queue) -> None:
    for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        revision = world.commit(A, ip)
        queue.look(world.state, [A])
    (push,) = queue.take(world.state, 10)
    assert (push.want.ip, push.want.revision) == ("192.0.2.3", revision)


def test_a_value_committed_after_the_look_is_the_one_that_is_pushed(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    queue.look(world.state, [A])
    world.commit(A, "192.0.2.2")
    (push,) = queue.take(world.state, 10)
    assert push.want.ip == "192.0.2.2"


def test_who_waits_longest_comes_first_and_a_batch_is_bounded(world: World, queue: Queue) -> None:
    for record in (B, A, C, B):  # the second value of B does not send it to the end
        world.commit(record, "192.0.2.1")
        queue.look(world.state, [record])
    assert records(queue.take(world.state, 2)) == [B, A]
    assert records(queue.take(world.state, 2)) == [C]
    assert queue.take(world.state, 2) == ()


def test_a_record_on_its_way_is_planned_again_only_after_its_release(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    queue.look(world.state, [A])
    queue.take(world.state, 10)
    world.commit(A, "192.0.2.2")
    queue.look(world.state, [A])
    assert queue.take(world.state, 10) == ()
    queue.release([A])
    (push,) = queue.take(world.state, 10)
    assert push.want.ip == "192.0.2.2"


def test_a_published_record_is_not_pending(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    queue.look(world.state, [A])
    assert len(queue) == 1
    world.publish(A)
    queue.look(world.state, [A])
    assert len(queue) == 0
    assert queue.take(world.state, 10) == ()


def test_a_record_published_before_the_next_look_is_not_pushed_again(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    queue.look(world.state, [A])
    world.publish(A)
    assert queue.take(world.state, 10) == ()


def test_a_refused_record_waits_for_a_newer_value(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    world.refuse(A)
    queue.look(world.state, [A])
    assert len(queue) == 0
    world.commit(A, "192.0.2.2")
    queue.look(world.state, [A])
    assert records(queue.take(world.state, 10)) == [A]


def test_a_new_ttl_is_pushed(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    world.publish(A)
    world.zone(ttl=300)
    queue.look(world.state, [A])
    (push,) = queue.take(world.state, 10)
    assert push.want.ttl == 300


def test_only_its_own_placement_is_planned(world: World, queue: Queue) -> None:
    world.zone("elsewhere.net", nameserver="second")
    world.host("a.elsewhere.net")
    world.commit(RecordKey("a.elsewhere.net", Family.A), "192.0.2.1")
    world.commit(A, "192.0.2.1")
    queue.look(world.state, world.state.addresses)
    assert records(queue.take(world.state, 10)) == [A]


def test_a_zone_that_moves_takes_its_records_along(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    queue.look(world.state, [A])
    world.zone(nameserver="second")
    assert queue.take(world.state, 10) == ()
    queue.look(world.state, [A])
    assert len(queue) == 0
    there = Queue(Placement("example.com", "second"))
    there.look(world.state, [A])
    assert records(there.take(world.state, 10)) == [A]


def test_the_acknowledgement_replaces_what_was_known_at_the_push(world: World, queue: Queue) -> None:
    world.commit(A, "192.0.2.1")
    world.publish(A)
    world.commit(A, "192.0.2.2")
    world.commit(B, "192.0.2.3")
    queue.look(world.state, [A, B])
    again, new = queue.take(world.state, 10)
    assert again.guard == world.state.published[A].revision
    assert new.guard == 0


def first_of(world: World) -> bool:
    queue = Queue(Placement("example.com", world.state.zones["example.com"].value.spec.nameserver))
    queue.look(world.state, [A])
    (push,) = queue.take(world.state, 1)
    return push.first


def test_a_publication_is_read_back_where_nothing_was_served_before(world: World) -> None:
    world.commit(A, "192.0.2.1")
    assert first_of(world)
    world.refuse(A)
    world.commit(A, "192.0.2.2")
    assert first_of(world)
    world.publish(A)
    world.commit(A, "192.0.2.3")
    assert not first_of(world)
    world.doubt(A)
    assert first_of(world)


def test_a_removal_is_not_read_back_but_what_comes_after_it_is(world: World) -> None:
    world.commit(A, "192.0.2.1")
    world.withdraw(A)
    assert not first_of(world)
    world.publish(A)
    world.commit(A, "192.0.2.2")
    assert first_of(world)


def test_a_record_is_read_back_at_its_new_home(world: World) -> None:
    world.commit(A, "192.0.2.1")
    world.publish(A)
    world.zone(nameserver="second")
    assert first_of(world)


class Value(NamedTuple):
    """An address of a record and how it is served."""

    revision: int
    ip: str
    ttl: int


def value_of(push: Push) -> Value:
    return Value(push.want.revision, push.want.ip, push.want.ttl)


@dataclass
class Naive:
    """What one record shall be and what it is where, with no thought of queues."""

    wanted: Value | None = None
    served: tuple[Value, str] | None = None
    refused: tuple[int, str] | None = None

    def is_pending_at(self, nameserver: str) -> bool:
        if self.wanted is None or self.served == (self.wanted, nameserver):
            return False
        return self.refused != (self.wanted.revision, nameserver)


RECORDS = (A, B, C, BLOG, BLOG6)


class QueueMachine(RuleBasedStateMachine):
    """The queue of one placement: records change, the zone moves, batches are lost or acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.world = small_world()
        for record in (A, B, C):
            self.world.host(record.name)
        self.queue = Queue(PLACEMENT)
        self.naive = {record: Naive() for record in RECORDS}
        self.home, self.ttl = PLACEMENT.nameserver, 60
        self.arrival: list[RecordKey] = []  # pending records, in the order in which they became so
        self.on_the_way: dict[RecordKey, Push] = {}

    def is_pending(self, record: RecordKey) -> bool:
        return self.home == PLACEMENT.nameserver and self.naive[record].is_pending_at(self.home)

    def look(self, *changed: RecordKey) -> None:
        self.queue.look(self.world.state, changed)
        self.arrival += [record for record in changed if record not in self.arrival]
        self.arrival = [record for record in self.arrival if self.is_pending(record)]

    @rule(record=st.sampled_from(RECORDS), last=st.integers(1, 254))
    def commit(self, record: RecordKey, last: int) -> None:
        ip = f"192.0.2.{last}" if record.type is Family.A else f"2001:db8::{last:x}"
        self.naive[record].wanted = Value(self.world.commit(record, ip), ip, self.ttl)
        self.look(record)

    @rule(record=st.sampled_from(RECORDS))
    def withdraw(self, record: Any) -> None:
        if self.naive[record].wanted:
            self.naive[record].wanted = Value(self.world.withdraw(record), "", self.ttl)
            self.look(record)

    @rule(
        ttl=st.sampled_from([60, 300]),
        home=st.sampled_from([PLACEMENT.nameserver, PLACEMENT.nameserver, "second"]),
    )
    def change_the_zone(self, ttl: int, home: str) -> None:
        self.ttl, self.home = ttl, home
        self.world.zone(ttl=ttl, nameserver=home)
        for naive in self.naive.values():
            naive.wanted = naive.wanted and naive.wanted._replace(ttl=ttl)
        self.look(*RECORDS)

    @rule(limit=st.integers(1, 3))
    def take(self, limit: int) -> None:
        batch = self.queue.take(self.world.state, limit)
        assert records(batch) == [record for record in self.arrival if record not in self.on_the_way][:limit]
        for push in batch:
            assert push.want.placement == PLACEMENT
            assert value_of(push) == self.naive[push.want.record].wanted
            self.on_the_way[push.want.record] = push

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        record, push = data.draw(st.sampled_from(list(self.on_the_way.items())))
        known, value = self.world.state.published.get(record), value_of(push)
        assert push.guard == (known.revision if known else 0)
        self.world.note(record, Published(*value, PLACEMENT.nameserver, NOW))
        self.naive[record].served, self.naive[record].refused = (value, PLACEMENT.nameserver), None
        self.lose(record)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def get_no_answer(self, data: st.DataObject) -> None:
        self.lose(data.draw(st.sampled_from(list(self.on_the_way))))

    def lose(self, record: RecordKey) -> None:
        del self.on_the_way[record]
        self.queue.release([record])
        self.look(record)

    @rule(record=st.sampled_from(RECORDS))
    def refuse(self, record: Any) -> None:
        wanted = self.naive[record].wanted
        if wanted and record not in self.on_the_way:
            self.world.refuse(record)
            self.naive[record].refused = (wanted.revision, self.home)
            self.look(record)

    @invariant()
    def counts_what_is_pending(self) -> None:
        assert len(self.queue) == len(self.arrival)
        everything_done = not any(naive.is_pending_at(self.home) for naive in self.naive.values())
        assert is_settled(self.world.state, PLACEMENT.zone) == everything_done

    def teardown(self) -> None:
        """However it went: once the zone is here and all is acknowledged, nothing is left."""
        self.change_the_zone(60, PLACEMENT.nameserver)
        self.queue.release(self.on_the_way)
        while batch := self.queue.take(self.world.state, 2):
            for push in batch:
                self.world.publish(push.want.record)
        assert is_settled(self.world.state, PLACEMENT.zone)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(stateful_step_count=30)
