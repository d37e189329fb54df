"""Makes the chart's Grafana dashboard: rows of panels, each a title, a unit and its queries."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 24  # in Grafana's grid
_SERIES = 'namespace="$namespace",job="$job"'
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """One graph. `queries` are pairs of an expression, where SERIES is the release's, and a legend."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]


PANELS = (
    Panel(
        "Updates answered",
        "reqps",
        [
            (
                'sum by (result) (rate(ddnsd_requests_total{SERIES,api="update"}[$__rate_interval]))',
                "{{result}}",
            )
        ],
    ),
    Panel(
        "Time to the answer",
        "s",
        [
            (
                f"histogram_quantile({share}, sum by (le) "
                '(rate(ddnsd_request_seconds_bucket{SERIES,api="update"}[$__rate_interval])))',
                legend,
            )
            for share, legend in ((0.5, "median"), (0.99, "99 %"))
        ],
    ),
    Panel(
        "Clients connected, and closed for others' sake",
        "none",
        [
            ("sum(ddnsd_connections{SERIES})", "connected"),
            (
                "sum by (reason) (increase(ddnsd_connections_closed_total{SERIES}[$__rate_interval]))",
                "{{reason}}",
            ),
        ],
    ),
    Panel("Leads", "none", [("sum by (pod) (ddnsd_leader{SERIES})", "{{pod}}")]),
    Panel(
        "Records sent to the nameservers",
        "cps",
        [
            (
                "sum by (nameserver, result) (rate(ddnsd_publish_records_total{SERIES}[$__rate_interval]))",
                "{{nameserver}} {{result}}",
            )
        ],
    ),
    Panel(
        "Time from the commit to the nameserver's answer",
        "s",
        [
            (
                "histogram_quantile(0.99, sum by (nameserver, le) "
                "(rate(ddnsd_publish_seconds_bucket{SERIES}[$__rate_interval])))",
                "{{nameserver}} 99 %",
            )
        ],
    ),
    Panel(
        "Records that wait",
        "none",
        [("sum by (nameserver) (ddnsd_publish_queue{SERIES})", "{{nameserver}}")],
    ),
    Panel(
        "Failures of the nameservers",
        "cps",
        [
            (
                "sum by (nameserver, kind) (rate(ddnsd_nameserver_errors_total{SERIES}[$__rate_interval]))",
                "{{nameserver}} {{kind}}",
            ),
            (
                "sum by (nameserver) (rate(ddnsd_drift_total{SERIES}[$__rate_interval]))",
                "{{nameserver}} drift",
            ),
        ],
    ),
    Panel(
        "Failures of the store",
        "cps",
        [("sum by (kind) (rate(ddnsd_store_failures_total{SERIES}[$__rate_interval]))", "{{kind}}")],
    ),
    Panel(
        "Updates in a group commit",
        "none",
        [
            (
                "sum(rate(ddnsd_commit_updates_total{SERIES}[$__rate_interval])) / "
                "sum(rate(ddnsd_commit_groups_total{SERIES}[$__rate_interval]))",
                "updates",
            )
        ],
    ),
    Panel(
        "Wait for the newest state",
        "s",
        [
            (
                "histogram_quantile(0.99, sum by (pod, le) "
                "(rate(ddnsd_watch_lag_seconds_bucket{SERIES}[$__rate_interval])))",
                "{{pod}} 99 %",
            )
        ],
    ),
    Panel(
        "Changed configurations",
        "none",
        [
            (
                "sum by (outcome) (increase(ddnsd_config_reloads_total{SERIES}[$__rate_interval]))",
                "{{outcome}}",
            ),
            ("sum(ddnsd_config_waiting_for_restart{SERIES})", "settings that wait for a restart"),
        ],
    ),
    Panel(
        "Custom resources that are not accepted",
        "none",
        [('sum by (kind) (ddnsd_kube_objects{namespace="$namespace",accepted="false"})', "{{kind}}")],
    ),
    Panel(
        "Work of the controller",
        "none",
        [
            ('sum(ddnsd_kube_status_queue{namespace="$namespace"})', "statuses to write"),
            ('sum(ddnsd_kube_held_deletions{namespace="$namespace"})', "deletions held back"),
        ],
    ),
    Panel(
        "CPU",
        "percentunit",
        [("sum by (pod) (rate(process_cpu_seconds_total{SERIES}[$__rate_interval]))", "{{pod}}")],
    ),
    Panel("Memory", "bytes", [("sum by (pod) (process_resident_memory_bytes{SERIES})", "{{pod}}")]),
)


def dashboard() -> str:
    """Return the dashboard's JSON."""
    content = {
        "title": "ddnsd",
        "uid": "ddnsd",
        "tags": ["ddnsd"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": list(_variables())},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }
    return json.dumps(content, indent=2) + "\n"


def _variables() -> Iterator[Mapping[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus"}
    for name, given in (("namespace", ""), ("job", '{namespace="$namespace"}')):
        query = f"label_values(ddnsd_leader{given}, {name})"
        yield {
            "name": name,
            "type": "query",
            "datasource": _DATASOURCE,
            "definition": query,
            "query": {"query": query, "refId": name},
            "refresh": 2,
        }


def _panel(number: int, panel: Panel) -> Mapping[str, Any]:
    in_row = _COLUMNS // _WIDTH
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": {
            "x": number % in_row * _WIDTH,
            "y": number // in_row * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": expression.replace("SERIES", _SERIES),
                "legendFormat": legend,
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }
