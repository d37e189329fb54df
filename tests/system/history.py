"""What was asked, answered, committed and served, for the judgement afterwards (`judge.py`).

Addresses are text; times are `time.monotonic()`.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tests.rigs.etcd import EtcdRig


class Answer(NamedTuple):
    """A node's answer to a change."""

    host: str
    node: int
    address: str
    message: str
    previous: str | None  # `old_ip`; None where the answer has none
    begin: float
    end: float


class Sample(NamedTuple):
    """What the nameserver served for a name at some moment between `begin` and `end`; "" for nothing."""

    host: str
    address: str
    begin: float
    end: float


class Commit(NamedTuple):
    """An address that came into etcd."""

    address: str
    time: float  # about; never later than it was


class Record:
    """All that was seen from outside during a scenario."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.samples: list[Sample] = []
        self.lost = 0  # requests without an answer
        self.asked: Counter[tuple[str, str]] = Counter()  # requests by host and address


History = Mapping[str, Sequence[Commit]]


def read_history(rig: EtcdRig, prefix: str) -> History:
    """Return the IPv4 addresses ever committed of each name, in their order, as etcdctl tells them."""
    shelf = f"{prefix}addresses/"
    history = defaultdict(list)
    newest = 0.0
    for written in rig.ctl_of(rig.members[0]).history(shelf, since=1):
        host, _, family = written.key.removeprefix(shelf).rpartition("/")
        value = json.loads(written.value)
        # It says when it was decided. Whoever decided may have been frozen before it was committed; then
        # it came after what others decided later.
        newest = max(newest, datetime.fromisoformat(value["changed"]).timestamp())
        if family == "A":
            history[host].append(Commit(value["ip"], newest - time.time() + time.monotonic()))
    return history
