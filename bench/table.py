"""The figures of one run, side by side, with their ratios."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from rich.table import Table

from bench.load import Rate


class Figure(StrEnum):
    """What is measured, each per second."""

    CHANGED_BIND = "changed, BIND, 64 clients"
    CHANGED_EMBEDDED = "changed, embedded nameserver, 64 clients"
    UNCHANGED = "unchanged, 64 clients"
    CHANGED_ETCD = "changed, etcd, BIND, 64 clients"
    CHANGED_WORKERS = "changed, etcd, BIND, two workers, 64 clients"
    UNCHANGED_ETCD = "unchanged, etcd, 64 clients"
    UNCHANGED_WORKERS = "unchanged, etcd, two workers, 64 clients"
    HANDLER = "  bare Tornado RequestHandler"
    DELEGATE = "  bare Tornado delegate"
    REPLACED = "published to BIND, replacing records"
    RAW_BATCHED = "  dnspython, batches of the same size"
    RAW_SINGLE = "  dnspython, one record per UPDATE"
    FIRST = "published to BIND, first time (read back)"
    READS = "read from memory, etcd, 1,000 readers"
    GETS = "  one get each"
    COMMITS = "committed in groups, etcd, 1,000 writers"
    TXNS = "  one transaction each"


class Line(NamedTuple):
    """A line of the table. Where there is `ours`, `at_least` is meant for the ratio, else for the figure."""

    figure: Figure
    ours: Figure | None = None  # what is compared with it
    at_least: float | None = None


LINES = (
    Line(Figure.CHANGED_BIND, at_least=1000),
    Line(Figure.CHANGED_EMBEDDED),
    Line(Figure.UNCHANGED),
    Line(Figure.HANDLER, ours=Figure.UNCHANGED, at_least=1.2),
    Line(Figure.DELEGATE, ours=Figure.UNCHANGED),
    Line(Figure.CHANGED_ETCD),
    Line(Figure.CHANGED_WORKERS),
    Line(Figure.UNCHANGED_ETCD),
    Line(Figure.UNCHANGED_WORKERS),
    Line(Figure.REPLACED),
    Line(Figure.RAW_BATCHED, ours=Figure.REPLACED, at_least=0.8),
    Line(Figure.RAW_SINGLE, ours=Figure.REPLACED),
    Line(Figure.FIRST),
    Line(Figure.READS, at_least=20_000),
    Line(Figure.GETS, ours=Figure.READS),
    Line(Figure.COMMITS, at_least=15_000),
    Line(Figure.TXNS, ours=Figure.COMMITS),
)
_LAST_OF_SECTION = (Figure.DELEGATE, Figure.UNCHANGED_WORKERS, Figure.FIRST)

Samples = Mapping[Figure, Sequence[Rate]]  # a rate per round, in the order of the rounds


def table(samples: Samples) -> Table:
    """Return the table: medians over the rounds; a ratio is the median of the rounds' own ratios."""
    drawn = Table(title="ddnsd, and what it is built on", title_justify="left")
    drawn.add_column("per second")
    for heading in ("median", "min - max", "p50 / p99 ms", "ddnsd ÷ this", "target", ""):
        drawn.add_column(heading, justify="right")
    for line in LINES:
        drawn.add_row(*_cells(line, samples), end_section=line.figure in _LAST_OF_SECTION)
    return drawn


def _cells(line: Line, samples: Samples) -> Sequence[str]:
    rates = samples[line.figure]
    figures = [rate.per_second for rate in rates]
    ratio = _ratio(samples[line.ours], rates) if line.ours else None
    reached = median(figures) if ratio is None else ratio
    return (
        line.figure,
        f"{median(figures):,.0f}",
        f"{min(figures):,.0f} - {max(figures):,.0f}",
        _latency(rates),
        "" if ratio is None else f"{ratio:.2f}",
        "" if line.at_least is None else f"≥ {line.at_least:,g}",
        "" if line.at_least is None else "met" if reached >= line.at_least else "not met",
    )


def _ratio(ours: Sequence[Rate], theirs: Sequence[Rate]) -> float:
    return median(our.per_second / their.per_second for our, their in zip(ours, theirs, strict=True))


def _latency(rates: Sequence[Rate]) -> str:
    p50, p99 = median(rate.p50 for rate in rates), median(rate.p99 for rate in rates)
    return f"{p50 * 1e3:.1f} / {p99 * 1e3:.1f}" if p50 else ""
