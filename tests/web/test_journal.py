"""What the log shows of refusals: enough, whoever sends how many."""

import structlog
from prometheus_client import CollectorRegistry

from ddnsd.model.request import Api, Limited, Refusal
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.update import AccessLog

SOURCE = "198.51.100.7"


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_shown_sampled_and_counted_all() -> None:
    clock, registry = Clock(), CollectorRegistry()
    journal = AccessLog(Api.DYNDNS2, Metrics(registry), clock)
    with structlog.testing.capture_logs() as shown:
        for number in range(150):
            if number % 2:
                journal.note_unreadable("junk", SOURCE, 0.0)
            else:
                journal.note(["a.example.com"], [Refusal.NOT_FOUND], SOURCE, 0.0)
        assert len(shown) == 100
        clock.now += 0.1
        journal.note(["b.example.com"], [Refusal.NOT_FOUND], SOURCE, 0.0)
        journal.note(["c.example.com"], [Refusal.NOT_FOUND], SOURCE, 0.0)
        clock.now += 0.1
        journal.note(["d.example.com"], [Refusal.NOT_FOUND], SOURCE, 0.0)
    told = [(line["domain"], line.get("left_out")) for line in shown[100:]]
    assert told == [("b.example.com", 50), ("d.example.com", 1)]
    labels = {"api": "dyndns2", "result": "not_found"}
    assert registry.get_sample_value("ddnsd_requests_total", labels) == 78


def test_a_name_that_may_be_a_token_is_not_shown_and_of_the_limited_nothing() -> None:
    journal = AccessLog(Api.UPDATE, Metrics(CollectorRegistry()))
    with structlog.testing.capture_logs() as shown:
        journal.note(["a-token-0123456789"], [Refusal.FIRST_LEVEL], SOURCE, 0.0)
        journal.note([""], [Limited(1.0)], SOURCE, 0.0)
    assert [(line["event"], line.get("domain")) for line in shown] == [
        ("update.refused", "***"),
        ("update.limited", None),
    ]
