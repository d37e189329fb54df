"""What `bench.pairs` makes of its figures: the interval of a median, and whether a target is met."""

from collections.abc import Sequence

import pytest

from bench.pairs import FIGURES, interval, is_met


def pairs(*ratios: float) -> Sequence[tuple[float, float]]:
    return [(100, 100 * ratio) for ratio in ratios]


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [(5, 1, 5), (6, 1, 6), (15, 4, 12), (25, 8, 18)],  # ranks, as tables of the sign test have them
)
def test_the_interval_is_between_two_ranks(count: int, low: int, high: int) -> None:
    assert interval(map(float, range(count, 0, -1))) == (low, high)


@pytest.mark.parametrize(
    ("name", "ratios", "met"),
    [
        ("published", (0.97,) * 15, True),
        ("published", (0.96,) * 15, False),
        ("published", (0.96,) * 8 + (1.01,) * 7, True),  # as good as it was, within 5 %
        ("published", (0.9,) * 8 + (1.05,) * 7, False),  # nobody can say
        ("memory of a node", (1.03,) * 15, True),
        ("memory of a node", (1.04,) * 15, False),
        ("ddnsd --version", (0.002,) * 15, False),  # 0.2 s are too long, whatever it was before
        ("ddnsd --version", (0.001,) * 15, True),
    ],
)
def test_a_target_is_met_or_not(name: str, ratios: Sequence[float], met: bool) -> None:
    assert is_met(FIGURES[name], pairs(*ratios)) is met
