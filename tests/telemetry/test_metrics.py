"""The metrics: all there from the start, documented, and used."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from ddnsd.model.request import Refusal
from ddnsd.model.resources import Kind
from ddnsd.telemetry import metrics as constants
from ddnsd.telemetry.metrics import RESULTS, KubeMetrics, Metrics

ROOT = Path(__file__).parents[2]
VALUES = {
    ("ddnsd_requests", "result"): {result for results in RESULTS.values() for result in results},
    ("ddnsd_commit_updates", "outcome"): set(constants.COMMIT_OUTCOMES),
    ("ddnsd_store_failures", "kind"): set(constants.STORE_FAILURES),
    ("ddnsd_connections_closed", "reason"): set(constants.CLOSED_CONNECTIONS),
    ("ddnsd_internal_connections_closed", "listener"): set(constants.INTERNAL_LISTENERS),
    ("ddnsd_internal_connections_closed", "reason"): set(constants.CLOSED_CONNECTIONS),
    ("ddnsd_proxy_headers_refused", "reason"): set(constants.PROXY_HEADER_FAILURES),
    ("ddnsd_config_reloads", "outcome"): set(constants.RELOADS),
    ("ddnsd_publish_records", "result"): set(constants.PUBLISH_RESULTS),
    ("ddnsd_nameserver_errors", "kind"): set(constants.NAMESERVER_ERRORS),
    ("ddnsd_kube_objects", "kind"): {kind.plural for kind in Kind},
    ("ddnsd_kube_objects", "accepted"): {"true", "false"},
}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    metrics = Metrics(registry, ("default", "bind"))
    KubeMetrics(registry, [kind.plural for kind in Kind])
    return metrics


def families(metrics: Metrics) -> dict[str, Metric]:
    found = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    own = {name: family for name, family in found.items() if name.startswith("ddnsd_")}
    return {name: family for name, family in own.items() if not name.endswith("_created")}


def labels(family: Metric) -> dict[str, list[str]]:
    """Return a family's labels with their values, in their order."""
    found: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le" and value not in found.setdefault(label, []):
                found[label].append(value)
    return found


def test_every_series_exists_from_the_start(metrics: Metrics, registry: CollectorRegistry) -> None:
    for family in families(metrics).values():
        assert family.samples, family.name
        assert all(sample.value == 0 for sample in family.samples)
    for (name, label), values in VALUES.items():
        assert set(labels(families(metrics)[name])[label]) == values
    assert registry.get_sample_value("ddnsd_requests_total", {"api": "admin", "result": "failed"}) == 0
    assert registry.get_sample_value("process_start_time_seconds")


def test_every_refusal_is_a_result() -> None:
    assert {refusal.name.lower() for refusal in Refusal} < set(RESULTS["update"])


def test_nothing_that_happens_adds_a_series(metrics: Metrics) -> None:
    before = {
        (sample.name, *sample.labels.items())
        for family in families(metrics).values()
        for sample in family.samples
    }
    for api, results in RESULTS.items():
        for result in results:
            metrics.request(api, result, 0.003)
    metrics.committed(constants.COMMIT_OUTCOMES)
    metrics.batch("bind")
    metrics.drift("bind", 3)
    metrics.published("bind", [0.1, 0.2])
    metrics.refused("bind", 2)
    for reason in constants.PROXY_HEADER_FAILURES:
        metrics.proxy_header_refused(reason)
    for reason in constants.CLOSED_CONNECTIONS:
        metrics.connection_closed(reason)
    for kind in constants.STORE_FAILURES:
        metrics.store_failed(kind)
    for kind in constants.NAMESERVER_ERRORS:
        metrics.nameserver_error("bind", kind)
    after = {
        (sample.name, *sample.labels.items())
        for family in families(metrics).values()
        for sample in family.samples
    }
    assert after == before


def test_a_nameservers_queue_is_the_sum_over_its_zones(metrics: Metrics, registry: CollectorRegistry) -> None:
    metrics.queue("bind", "a.test", 3)
    metrics.queue("bind", "b.test", 4)
    metrics.queue("bind", "a.test", 1)
    metrics.queue("default", "c.test", 7)
    assert registry.get_sample_value("ddnsd_publish_queue", {"nameserver": "bind"}) == 5


def test_two_processes_worth_of_metrics_stand_side_by_side(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    Metrics(CollectorRegistry()).leading(True)
    assert registry.get_sample_value("ddnsd_leader") == 0


def row(family: Metric) -> str:
    total = "_total" if family.type == "counter" else ""
    cells = [
        f"`{family.name}{total}`",
        family.type,
        ", ".join(map(_label(family), labels(family))),
        family.documentation,
    ]
    return "| " + " | ".join(cells) + " |"


def _label(family: Metric) -> Callable[..., str]:
    def label(name: str) -> str:
        bounded = (family.name, name) in VALUES or name == "api"
        values = ", ".join(f"`{value}`" for value in labels(family)[name])
        return f"`{name}` ({values})" if bounded else f"`{name}`"

    return label


def test_the_docs_have_exactly_these_metrics(metrics: Metrics) -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == [
        row(one) for one in families(metrics).values()
    ]


def test_every_metric_is_used_somewhere() -> None:
    used = {name for path in (ROOT / "ddnsd").rglob("*.py") for name in _calls_on_metrics(path)}
    members = [*vars(Metrics).items(), *vars(KubeMetrics).items()]
    offered = {name for name, member in members if callable(member) and not name.startswith("_")}
    assert sorted(offered - used) == []


def _calls_on_metrics(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("metrics"):
            yield node.attr
