"""When a state counts as standing still, with a clock of the test's own: minutes pass at once."""

from collections.abc import Iterator

import pytest

from ddnsd.store.standstill import Patience, Stage, Standstill

TTL = 5
PATIENCE = Patience.of(TTL)


class Clock:
    """Goes on by itself, `period` seconds at a time."""

    def __init__(self, period: float) -> None:
        self.now = 1000.0
        self._period = period

    def until(self, seconds: float) -> Iterator[float]:
        """Yield the moments of the next seconds."""
        end = self.now + seconds
        while self.now + self._period <= end:
            self.now += self._period
            yield self.now


@pytest.fixture
def standstill() -> Standstill:
    return Standstill(PATIENCE)


@pytest.mark.parametrize("period", [0.5, 2.0, 2.9])
def test_each_stage_begins_once_and_at_its_time(standstill: Standstill, period: float) -> None:
    began = {}
    clock = Clock(period)
    first = None
    for at in clock.until(90):
        first = first or at
        if stage := standstill.behind(at):
            assert stage not in began
            began[stage] = at - first
    assert list(began) == [Stage.WATCH, Stage.SESSION, Stage.END]
    for stage, seconds in zip(began, (TTL, 2 * TTL, 60), strict=True):
        assert seconds <= began[stage] < seconds + period


def test_an_idle_installation_does_not_stand_still(standstill: Standstill) -> None:
    for _ in Clock(2).until(3600):
        standstill.caught_up()
    assert standstill.worst is Stage.NONE


def test_long_idle_time_does_not_count_when_something_comes(standstill: Standstill) -> None:
    standstill.caught_up()
    assert standstill.behind(at=1_000_000.0) is Stage.NONE
    assert standstill.seconds == 0


def test_a_state_that_moves_however_slowly_does_not_stand_still(standstill: Standstill) -> None:
    """A node that catches up, or a snapshot that grows: it is behind all the time."""
    for number, at in enumerate(Clock(2).until(3600)):
        assert standstill.behind(at) is Stage.NONE
        if number % 2:
            standstill.moved()
    assert standstill.worst is Stage.NONE


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_store_that_is_away_for_ten_minutes(standstill: Standstill, answered: int) -> None:
    """The worst moment: it has answered that there is more, and went before the watch delivered that."""
    clock = Clock(2)
    for at in clock.until(2 * answered):
        standstill.behind(at)
    for _ in clock.until(600):
        standstill.unanswered()
    assert [standstill.behind(at) for at in clock.until(4)] == [Stage.NONE] * 2
    assert standstill.worst is Stage.NONE


@pytest.mark.parametrize("stop", [60.0, 3600.0])
def test_a_process_that_was_stopped_in_the_worst_moment(standstill: Standstill, stop: float) -> None:
    clock = Clock(1)
    for at in clock.until(2):
        standstill.behind(at)
    assert standstill.behind(clock.now + stop) is Stage.NONE
    standstill.moved()
    assert standstill.worst is Stage.NONE


def test_nobody_acts_on_a_state_that_moves_again_before_it_is_current(standstill: Standstill) -> None:
    for at in Clock(2).until(8):
        standstill.behind(at)
    worst = [standstill.worst]
    for happens in (standstill.moved, standstill.caught_up):
        happens()
        worst.append(standstill.worst)
    assert worst == [Stage.WATCH, Stage.WATCH, Stage.NONE]


def test_a_state_that_stands_still_again_begins_with_the_first_stage(standstill: Standstill) -> None:
    clock = Clock(2)
    assert {standstill.behind(at) for at in clock.until(16)} == {Stage.NONE, Stage.WATCH, Stage.SESSION}
    standstill.moved()
    assert {standstill.behind(at) for at in clock.until(8)} == {Stage.NONE, Stage.WATCH}
    assert standstill.worst is Stage.SESSION


@pytest.mark.parametrize("ttl", [2, 5, 60])
def test_the_stages_come_one_after_the_other_whatever_the_lease(ttl: int) -> None:
    patience = Patience.of(ttl)
    assert ttl == patience.watch < patience.session < patience.end
    assert patience.end >= 60
