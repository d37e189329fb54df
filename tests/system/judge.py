"""The judgement of a scenario: each answer and each sample must fit what etcd says was committed, in order.

An observation is given the earliest place in its name's commits that it can have. It breaks a promise if
it has none that is at or after the place of everything that had ended before it began. So an answer that
was lost does not matter: whether its change came, and when, is seen in etcd.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import NamedTuple

from tests.system.history import Answer, Commit, History, Record, Sample
from tests.system.load import NOT_PUBLISHED, NOT_STORED, UNCHANGED, UPDATED

NOTHING = -1  # place of a name before its first commit


class Publication(NamedTuple):
    """A commit, and when the nameserver was first seen to serve it, or a newer one of its name."""

    committed: float
    served: float  # inf: never


class Verdict(NamedTuple):
    """What broke a promise, in words; and all publications, by the times of their commits."""

    faults: Sequence[str]
    publications: Sequence[Publication]

    def between(self, since: float, until: float = inf) -> list[Publication]:
        """Return the publications of what was committed between two times."""
        return [one for one in self.publications if since <= one.committed < until]


def judge(record: Record, history: History) -> Verdict:
    """Judge all that was seen."""
    names = {host: _Name(commits) for host, commits in history.items()}
    everything: list[Answer | Sample] = [*record.answers, *record.samples]
    for seen in sorted(everything, key=lambda seen: seen.begin):
        names.setdefault(seen.host, _Name(())).look(seen)
    faults = [fault for name in names.values() for fault in name.faults]
    faults += _done_too_often(record, history)
    return Verdict(faults, sorted(one for name in names.values() for one in name.publications()))


def _done_too_often(record: Record, history: History) -> Iterator[str]:
    """Yield the changes that were committed more often than they were asked for."""
    for host, commits in history.items():
        for address, count in Counter(commit.address for commit in commits if commit.address).items():
            if count > record.asked[host, address] > 0:
                asked = record.asked[host, address]
                yield f"{host}: {address} was asked for {asked} times and committed {count} times"


def longest_delay(publications: Sequence[Publication]) -> float:
    """Return the longest time from a commit to its publication."""
    return max((one.served - one.committed for one in publications), default=0.0)


def longest_pause(publications: Sequence[Publication]) -> float:
    """Return the longest time without a commit."""
    return max((later.committed - one.committed for one, later in pairwise(publications)), default=inf)


def figures(publications: Sequence[Publication]) -> str:
    """Return what a scenario is remembered by."""
    pause, delay = longest_pause(publications), longest_delay(publications)
    return f"{len(publications)} commits, longest pause {pause:.2f} s, published in at most {delay:.2f} s"


class _Name:
    """One name: its commits, and how far what was seen has come."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.faults: list[str] = []
        self._commits = commits
        self._addresses = [commit.address for commit in commits]
        self._served: list[tuple[float, int]] = []  # end and place of each sample
        self._seen: list[tuple[float, int]] = []  # end and place of each observation
        self._published: list[tuple[float, int]] = []  # of the answers among them

    def look(self, seen: Answer | Sample) -> None:
        """Judge an observation; they come by their beginnings."""
        if isinstance(seen, Answer) and seen.message in (NOT_PUBLISHED, NOT_STORED):
            return  # it promises nothing
        floor = _floor(self._seen, seen.begin)
        place = next((place for place in range(floor, len(self._addresses)) if self._fits(seen, place)), None)
        if place is None:
            known = self._addresses[floor] if floor >= 0 else "nothing"
            self.faults.append(
                f"{seen}: {known} was seen before, and then came {self._addresses[floor + 1 :]}"
            )
            return
        self._seen.append((seen.end, place))
        if isinstance(seen, Answer):
            self._published.append((seen.end, place))
        else:
            self._served.append((seen.end, place))

    def publications(self) -> Iterator[Publication]:
        """Return what came of each commit."""
        served = iter(self._served)
        end, reached = -inf, NOTHING
        for place, commit in enumerate(self._commits):
            while reached < place:
                end, reached = next(served, (inf, len(self._commits)))
            yield Publication(commit.time, end)

    def _fits(self, seen: Answer | Sample, place: int) -> bool:
        if seen.address != self._address(place):
            return False
        if isinstance(seen, Sample) or seen.message == UNCHANGED:
            return True
        is_new = place > _floor(self._published, seen.begin)  # else "unchanged" is the only true answer
        return seen.message == UPDATED and is_new and seen.previous == self._address(place - 1)

    def _address(self, place: int) -> str:
        return self._addresses[place] if place >= 0 else ""


def _floor(seen: Sequence[tuple[float, int]], begin: float) -> int:
    """Return the newest place of all that had ended before."""
    return max((place for end, place in seen if end < begin), default=NOTHING)
