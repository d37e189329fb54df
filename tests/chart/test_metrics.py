"""Alerts and the dashboard: of metrics that exist, and alerts that fire when, and only when, they should."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from ddnsd.telemetry.metrics import KubeMetrics, Metrics
from tests.chart.helm import CHART, NAMESPACE, Document, example, one, render
from tests.rigs.process import find_program

ALL_ON = {"metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")}}
OWN_ETCD = {**example("own-etcd"), **ALL_ON}
HEALTHY: Mapping[str, str | None] = {
    'ddnsd_leader{pod="a"}': "1x130",
    'ddnsd_leader{pod="b"}': "0x130",
    'ddnsd_store_revision{pod="a"}': "1+5x130",
    'ddnsd_store_revision{pod="b"}': "1+5x130",
    'ddnsd_publish_queue{pod="a",nameserver="default"}': "0x130",
    'ddnsd_requests_total{pod="a",result="store_failed"}': "0x130",
    'ddnsd_requests_total{pod="a",result="nameserver_failed"}': "0x130",
    'ddnsd_store_failures_total{pod="a",kind="no_space"}': "0x130",
    'ddnsd_nameserver_errors_total{pod="a",nameserver="default",kind="fence"}': "0x130",
    'ddnsd_drift_total{pod="a",nameserver="default"}': "0x130",
    'ddnsd_watch_lag_seconds_bucket{pod="a",le="0.1"}': "0+10x130",
    'ddnsd_watch_lag_seconds_bucket{pod="a",le="5"}': "0+10x130",
    'ddnsd_watch_lag_seconds_bucket{pod="a",le="+Inf"}': "0+10x130",
    'ddnsd_connections_closed_total{pod="a",reason="displaced"}': "0x130",
    'ddnsd_connections_closed_total{pod="a",reason="source_displaced"}': "0+1x130",
    'ddnsd_config_reload_success{pod="a"}': "1x130",
    'ddnsd_config_waiting_for_restart{pod="a"}': "0x130",
    'ddnsd_kube_controller{pod="a"}': "1x130",
    'ddnsd_kube_controller{pod="b"}': "0x130",
    'ddnsd_kube_held_deletions{pod="a"}': "0x130",
    'ddnsd_kube_unfollowed{pod="a"}': "0x130",
    'ddnsd_kube_pass_failures_total{pod="a"}': "0x130",
    'etcd_server_has_leader{pod="ddnsd-etcd-0"}': "1x130",
    'etcd_mvcc_db_total_size_in_bytes{pod="ddnsd-etcd-0"}': "10x130",
    'etcd_server_quota_backend_bytes{pod="ddnsd-etcd-0"}': "100x130",
}
SICK: Mapping[str, Mapping[str, str | None]] = {
    "DdnsdDown": {'ddnsd_leader{pod="a"}': None, 'ddnsd_leader{pod="b"}': None},
    "DdnsdNoLeader": {'ddnsd_leader{pod="a"}': "0x130"},
    "DdnsdSeveralLeaders": {'ddnsd_leader{pod="b"}': "1x130"},
    "DdnsdStoreFailed": {'ddnsd_requests_total{pod="a",result="store_failed"}': "0+1x130"},
    "DdnsdStoreRefuses": {'ddnsd_store_failures_total{pod="a",kind="no_space"}': "0+1x130"},
    "DdnsdNameserverFailed": {'ddnsd_requests_total{pod="a",result="nameserver_failed"}': "0+1x130"},
    "DdnsdQueueStuck": {'ddnsd_publish_queue{pod="a",nameserver="default"}': "3x130"},
    "DdnsdFenceHeld": {'ddnsd_nameserver_errors_total{pod="a",nameserver="default",kind="fence"}': "0+1x130"},
    "DdnsdDrift": {'ddnsd_drift_total{pod="a",nameserver="default"}': "0+1x130"},
    "DdnsdBehind": {'ddnsd_watch_lag_seconds_bucket{pod="a",le="0.1"}': "0x130"},
    "DdnsdClientsTurnedAway": {'ddnsd_connections_closed_total{pod="a",reason="displaced"}': "0+1x130"},
    "DdnsdGetsNoChanges": {'ddnsd_store_revision{pod="b"}': "1x130"},
    "DdnsdConfigurationRefused": {'ddnsd_config_reload_success{pod="a"}': "0x130"},
    "DdnsdConfigurationWaits": {'ddnsd_config_waiting_for_restart{pod="a"}': "2x130"},
    "DdnsdNoController": {'ddnsd_kube_controller{pod="a"}': "0x130"},
    "DdnsdDeletionsHeld": {'ddnsd_kube_held_deletions{pod="a"}': "12x130"},
    "DdnsdResourcesUnfollowed": {'ddnsd_kube_unfollowed{pod="a"}': "1x130"},
    "DdnsdResourcesNotTaken": {'ddnsd_kube_pass_failures_total{pod="a"}': "0+1x130"},
    "DdnsdEtcdNoLeader": {'etcd_server_has_leader{pod="ddnsd-etcd-0"}': "0x130"},
    "DdnsdEtcdNearQuota": {'etcd_mvcc_db_total_size_in_bytes{pod="ddnsd-etcd-0"}': "90x130"},
}


@pytest.fixture(scope="module")
def rule() -> Document:
    return one(render(OWN_ETCD), "PrometheusRule")


@pytest.fixture(scope="module")
def exposition() -> str:
    metrics = Metrics(registry := CollectorRegistry(), ["default"])
    KubeMetrics(registry, ["hosts"])
    return metrics.text().decode()


def alerts(rule: Document) -> list[Document]:
    return [each for group in rule["spec"]["groups"] for each in group["rules"]]


def panels() -> list[str]:
    content = json.loads((CHART / "files" / "dashboard.json").read_text())
    return [target["expr"] for panel in content["panels"] for target in panel["targets"]]


def test_expressions_are_of_metrics_that_exist(rule: Document, exposition: str) -> None:
    existing = set(re.findall(r"^(\w+)", exposition, re.MULTILINE))
    expressions = [each["expr"] for each in alerts(rule)] + panels()
    used = set(re.findall(r"\b(?:ddnsd|process)_\w+", " ".join(expressions)))
    assert len(used) > 10
    assert used <= existing


def test_expressions_are_of_labels_that_exist(rule: Document, exposition: str) -> None:
    expressions = " ".join([each["expr"] for each in alerts(rule)] + panels())
    used = set(re.findall(r'\b(?:result|kind|api)!?="\w+"', expressions))
    assert len(used) > 4
    assert all(label.replace("!", "") in exposition for label in used)


def test_alerts_are_of_the_series_that_the_monitor_makes(rule: Document) -> None:
    services = [each for each in render(OWN_ETCD) if each["kind"] == "Service"]
    jobs = {each["metadata"]["name"] for each in services}
    used = {job for each in alerts(rule) for job in re.findall(r'job=~?"([^"]*)"', each["expr"])}
    assert used == {"ddnsd-pods", "ddnsd-etcd", "ddnsd-(pods|controller)"}
    assert {"ddnsd-pods", "ddnsd-etcd", "ddnsd-controller"} <= jobs


def test_the_monitor_finds_every_component() -> None:
    documents = render(OWN_ETCD)
    monitors = [
        each["spec"]["selector"]["matchLabels"] for each in documents if each["kind"] == "ServiceMonitor"
    ]
    found = {
        each["metadata"]["name"]
        for each in documents
        for monitor in monitors
        if each["kind"] == "Service" and monitor.items() <= each["metadata"]["labels"].items()
    }
    assert found == {"ddnsd-pods", "ddnsd-controller", "ddnsd-etcd"}


def test_each_alert_is_tried(rule: Document) -> None:
    assert {each["alert"] for each in alerts(rule)} == SICK.keys()


def test_promtool_takes_the_rules(rule: Document, tmp_path: Path) -> None:
    promtool("check", "rules", "--lint-fatal", _rules(rule, tmp_path))


def test_all_well_means_no_alert(rule: Document, tmp_path: Path) -> None:
    assert _firing(rule, HEALTHY, tmp_path, []) == ""


@pytest.mark.parametrize("alert", SICK)
def test_an_alert_fires_when_it_should(alert: str, rule: Document, tmp_path: Path) -> None:
    assert _firing(rule, {**HEALTHY, **SICK[alert]}, tmp_path, [alert]) == ""


def _firing(rule: Document, series: Mapping[str, str | None], folder: Path, wanted: Sequence[str]) -> str:
    """Have promtool look which alerts fire after an hour; return what is wrong with them."""
    firing = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "61m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in wanted],
    }
    inputs = [{"series": _whole(name), "values": values} for name, values in series.items() if values]
    case = {"interval": "30s", "input_series": inputs, "promql_expr_test": [firing]}
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [_rules(rule, folder)], "tests": [case]}))
    return promtool("test", "rules", str(path), check=False)


def _whole(series: str) -> str:
    job = {"etcd": "ddnsd-etcd", "ddnsd_kube": "ddnsd-controller"}
    (whose,) = [job[start] for start in job if series.startswith(start)] or ["ddnsd-pods"]
    return series.replace("{", f'{{namespace="{NAMESPACE}",job="{whose}",')


def _rules(rule: Document, folder: Path) -> str:
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return str(path)


def promtool(*arguments: str, check: bool = True) -> str:
    """Run it; return what it complains about."""
    command = [find_program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done.stderr if done.returncode == 0 else done.stdout + done.stderr


def test_an_alert_can_be_left_out() -> None:
    values: dict[str, Any] = {"metrics": {"prometheusRule": {"enabled": True, "disabled": ["DdnsdDrift"]}}}
    left = {each["alert"] for each in alerts(one(render(values), "PrometheusRule"))}
    assert left == {name for name in SICK if "Etcd" not in name} - {"DdnsdDrift"}
