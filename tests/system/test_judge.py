"""The judge of the cluster tests finds each kind of broken promise: else those tests would prove nothing."""

import pytest

from tests.system.history import Answer, Commit, Record, Sample
from tests.system.judge import Publication, judge
from tests.system.load import NOT_STORED, UNCHANGED, UPDATED

HOST = "h.example.com"
HISTORY = {HOST: [Commit("a", 1), Commit("b", 2), Commit("c", 3)]}


def answer(address: str, message: str, begin: float, previous: str | None = None) -> Answer:
    return Answer(HOST, 0, address, message, previous, begin, begin + 0.1)


def sample(address: str, begin: float) -> Sample:
    return Sample(HOST, address, begin, begin + 0.1)


def faults(*seen: Answer | Sample) -> int:
    record = Record()
    record.answers = [one for one in seen if isinstance(one, Answer)]
    record.samples = [one for one in seen if isinstance(one, Sample)]
    return len(judge(record, HISTORY).faults)


FIRST, SECOND = answer("a", UPDATED, 1, ""), answer("b", UPDATED, 2, "a")


def test_what_is_in_order_is_right() -> None:
    again = answer("b", UNCHANGED, 4)
    assert not faults(sample("", 0), FIRST, sample("a", 1.5), SECOND, sample("b", 3), again, sample("c", 5))


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([answer("x", UPDATED, 3, "c")], id="lost: answered and not committed"),
        pytest.param([SECOND, sample("a", 3)], id="served: older than answered"),
        pytest.param([sample("c", 3), sample("b", 4)], id="served: backwards"),
        pytest.param([sample("a", 3), sample("", 4)], id="served: a gap"),
        pytest.param([sample("x", 3)], id="served: never committed"),
        pytest.param([SECOND, answer("a", UNCHANGED, 3)], id="answered: stale"),
        pytest.param([sample("c", 3), answer("b", UNCHANGED, 4)], id="answered: older than served"),
        pytest.param([SECOND, SECOND._replace(node=1, begin=3, end=4)], id="answered: updated twice"),
        pytest.param([answer("b", UPDATED, 2, "x")], id="answered: another predecessor"),
        pytest.param([answer("a", "无效的 token", 1)], id="answered: refused"),
    ],
)
def test_what_breaks_a_promise_is_found(seen: list[Answer | Sample]) -> None:
    assert faults(*seen) == 1


def test_what_overlaps_has_no_order() -> None:
    assert not faults(SECOND._replace(end=9), sample("a", 3), answer("b", UPDATED, 4, "a"))


def test_a_failure_promises_nothing() -> None:
    assert not faults(answer("x", NOT_STORED, 1))


def test_publications() -> None:
    record = Record()
    record.samples = [sample("b", 4)]
    never = Publication(3, float("inf"))
    assert judge(record, HISTORY).publications == [Publication(1, 4.1), Publication(2, 4.1), never]
