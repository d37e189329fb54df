"""A token bucket, against what one says of it: so many at once, so many a second, for ever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.ratelimit import Bucket, Rate, full

RATES = st.builds(Rate, st.floats(0.001, 1e6), st.floats(1, 1e7))
TIMES = st.floats(0, 1e7)
STEPS = st.lists(st.tuples(st.floats(0, 1000), st.floats(0.5, 300)), max_size=50)
NEARLY = 1e-6  # what floating-point numbers may be wrong by, in relation


@given(RATES, TIMES, STEPS)
def test_it_is_never_below_zero_nor_above_its_burst(rate: Rate, now: float, steps: list[Any]) -> None:
    bucket = full(rate, now)
    for pause, count in steps:
        now += pause
        assert 0 <= bucket.level_at(rate, now) <= rate.burst
        bucket = bucket.taken(rate, now, count)
        assert 0 <= bucket.level <= rate.burst


@given(RATES, TIMES, STEPS)
def test_nobody_gets_more_than_the_burst_and_what_time_brings(
    rate: Rate, start: float, steps: list[Any]
) -> None:
    bucket, now, got = full(rate, start), start, 0.0
    for pause, count in steps:
        now += pause
        if bucket.wait(rate, now, count) == 0:
            bucket = bucket.taken(rate, now, count)
            got += min(count, rate.burst)
    assert got <= (rate.burst + (now - start) * rate.per_second) * (1 + NEARLY)


@given(RATES, TIMES, STEPS, st.floats(0.5, 1e7))
def test_who_waits_as_long_as_is_said_gets_it(rate: Rate, now: float, steps: list[Any], count: float) -> None:
    bucket = full(rate, now)
    for pause, taken in steps:
        bucket = bucket.taken(rate, now := now + pause, taken)
    wait = bucket.wait(rate, now, count)
    assert bucket.wait(rate, now + wait, count) <= NEARLY * max(1, wait, now)
    if wait > NEARLY * max(1, now):
        assert bucket.wait(rate, now + wait / 2, count) > 0


@given(st.integers(1, 5000), st.floats(0.001, 1e6), TIMES)
def test_exactly_the_burst_at_once(burst: int, per_second: float, now: float) -> None:
    rate = Rate(per_second, burst)
    bucket = full(rate, now)
    for _ in range(burst):
        assert bucket.wait(rate, now) == 0
        bucket = bucket.taken(rate, now)
    assert bucket.level == 0
    assert bucket.wait(rate, now) == pytest.approx(1 / per_second)


def test_more_than_the_burst_takes_a_full_bucket() -> None:
    rate = Rate(2, 10)
    bucket = full(rate, 100)
    assert bucket.wait(rate, 100, 5000) == 0
    bucket = bucket.taken(rate, 100, 5000)
    assert bucket == Bucket(0, 100)
    assert bucket.wait(rate, 100, 5000) == 5
    assert bucket.wait(rate, 104, 5000) == 1
    assert bucket.wait(rate, 105, 5000) == 0


def test_when_it_is_full() -> None:
    rate = Rate(2, 10)
    assert full(rate, 100).full_at(rate) == 100
    assert full(rate, 100).taken(rate, 100, 4).full_at(rate) == 102


def test_a_clock_that_goes_back_gives_and_takes_nothing() -> None:
    rate = Rate(1, 10)
    bucket = Bucket(4, 100)
    assert bucket.level_at(rate, 50) == 4
    assert bucket.wait(rate, 50, 5) == 1
