"""The Prometheus metrics (docs/metrics.md). Every series exists from the start, so that a rate has a zero.

Labels are bounded: the APIs, the results below, the nameservers of config.yaml. Never a zone, a name or
an account. Only a process that may be the controller has the controller's. The metrics of several processes
become one text, each series with the label of its process.
"""

import asyncio
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from ddnsd.model.request import Refusal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

RESULTS = {
    **{
        api: ("updated", "unchanged", *(refusal.name.lower() for refusal in Refusal), "limited", "malformed")
        for api in ("update", "dyndns2", "duckdns", "acme_dns")
    },
    "admin": ("done", "refused", "failed"),
}
"""`result` of `ddnsd_requests_total`, by `api`. malformed: no such path, method or encoding, or too large."""
COMMIT_OUTCOMES = ("done", "stale", "unknown", "unavailable")
RELOADS = ("applied", "refused")
PUBLISH_RESULTS = ("published", "refused")
STORE_FAILURES = (
    *("unreachable", "no_quorum", "certificate", "authentication", "permission"),
    *("no_space", "refused", "disk"),
)
NAMESERVER_ERRORS = ("unreachable", "no_answer", "refused", "zone", "fence")
PROXY_HEADER_FAILURES = ("malformed", "late", "incomplete")
CLOSED_CONNECTIONS = ("displaced", "full", "source_displaced", "source_full", "slow_head")
"""`reason` of `ddnsd_connections_closed_total`: the one that waited longest had to go, or, as all others were
at work, the newest; the same among those of one source; a head did not come to its end."""
INTERNAL_LISTENERS = ("admin", "health")

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PUBLISH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
_WATCH_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """One process's metrics, in a registry of its own. `nameservers` are the names in config.yaml."""

    def __init__(self, registry: CollectorRegistry, nameservers: Collection[str] = ()) -> None:
        self._registry = registry
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._requests_and_commits()
        self._publishing()
        self._configuration()
        self._start_at_zero()
        self.expect(nameservers)
        self._queues: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def expect(self, nameservers: Iterable[str]) -> None:
        """Show the series of these nameservers from now on."""
        for nameserver in nameservers:
            for metric in (self._batches, self._queue, self._drift, self._publish_seconds):
                metric.labels(nameserver)
            for result in PUBLISH_RESULTS:
                self._records.labels(nameserver, result)
            for kind in NAMESERVER_ERRORS:
                self._errors.labels(nameserver, kind)

    def request(self, api: str, result: str, seconds: float) -> None:
        """Count an answered request; `result` is one of `RESULTS[api]`."""
        self._answered[api, result].inc()
        self._took[api].observe(seconds)

    def committed(self, outcomes: Iterable[str]) -> None:
        """Count one group commit and the outcome of each of its updates (`COMMIT_OUTCOMES`)."""
        self._groups.inc()
        for outcome, count in Tally(outcomes).items():
            self._updates.labels(outcome).inc(count)

    def resolved(self, outcome: str, count: int) -> None:
        """Count updates of a group whose answer was lost, once their outcome is found or given up."""
        self._updates.labels(outcome).inc(count)

    def batch(self, nameserver: str) -> None:
        """Count an UPDATE with records."""
        self._batches.labels(nameserver).inc()

    def published(self, nameserver: str, seconds: Collection[float]) -> None:
        """Count records that are served now; each took its `seconds` from commit to acknowledgement."""
        self._records.labels(nameserver, "published").inc(len(seconds))
        observed = self._publish_seconds.labels(nameserver)
        for each in seconds:
            observed.observe(each)

    def refused(self, nameserver: str, count: int) -> None:
        """Count records that the nameserver refused."""
        self._records.labels(nameserver, "refused").inc(count)

    def queue(self, nameserver: str, zone: str, count: int) -> None:
        """Say how many records of a zone are pending; a nameserver shows the sum over its zones."""
        zones = self._queues[nameserver]
        self._queue.labels(nameserver).inc(count - zones.get(zone, 0))
        zones[zone] = count

    def nameserver_error(self, nameserver: str, kind: str) -> None:
        """Count a failure of a nameserver or of one of its zones (`NAMESERVER_ERRORS`)."""
        self._errors.labels(nameserver, kind).inc()

    def drift(self, nameserver: str, count: int) -> None:
        """Count records that were served otherwise than committed."""
        self._drift.labels(nameserver).inc(count)

    def leading(self, leads: bool) -> None:
        """Say whether this node leads."""
        self._leader.set(leads)
        if not leads:
            self._expiring.set(0)

    def expiring(self, count: int) -> None:
        """Say how many hosts expire soon, unless they are refreshed."""
        self._expiring.set(count)

    def store_failed(self, kind: str) -> None:
        """Count a call that the store did not do (`STORE_FAILURES`)."""
        self._store_failures.labels(kind).inc()

    def applied(self, revision: int) -> None:
        """Say which revision of the store this node has applied."""
        self._revision.set(revision)

    def became_current(self, seconds: float) -> None:
        """Observe how long requests waited for this node to know the newest state."""
        self._watch_seconds.observe(seconds)

    def reloaded(self, outcome: str) -> None:
        """Count a configuration that was read again because its files had changed (`RELOADS`)."""
        self._reloads.labels(outcome).inc()

    def configured(self, *, current: bool, since: float, waiting: int) -> None:
        """Say whether the newest configuration is in force, since when (Unix time) the one of now is, and
        how many changed settings wait for a restart."""
        self._config_current.set(current)
        self._config_since.set(since)
        self._config_waiting.set(waiting)

    def count_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        """Show from now on how many tasks of a loop there are."""
        self._tasks.set_function(lambda: len(asyncio.all_tasks(loop)))

    def worker_unanswered(self) -> None:
        """Count a worker that did not answer when the metrics of all were asked for."""
        self._unanswered.inc()

    def proxy_header_refused(self, reason: str) -> None:
        """Count a connection that was closed for its PROXY header (`PROXY_HEADER_FAILURES`)."""
        self._proxy_headers.labels(reason).inc()

    def count_connections(self, number: Callable[[], int]) -> None:
        """Show from now on how many clients are connected."""
        self._connections.set_function(number)

    def connection_closed(self, reason: str) -> None:
        """Count a connection that was closed for others' sake (`CLOSED_CONNECTIONS`)."""
        self._closed.labels(reason).inc()

    def internal_connection_closed(self, listener: str, reason: str) -> None:
        """Count a connection to the admin or health listener that was closed (`CLOSED_CONNECTIONS`)."""
        self._internal_closed.labels(listener, reason).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format, of the type `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _requests_and_commits(self) -> None:
        at = self._registry
        self._requests = Counter("ddnsd_requests", "Answered requests.", ("api", "result"), registry=at)
        self._request_seconds = Histogram(
            "ddnsd_request_seconds",
            "From a request's acceptance to its answer.",
            ("api",),
            buckets=_REQUEST_SECONDS,
            registry=at,
        )
        self._tasks = Gauge("ddnsd_tasks", "Asyncio tasks: as many as ever, when nothing waits.", registry=at)
        self._unanswered = Counter(
            "ddnsd_workers_unanswered", "Workers that did not answer when /metrics asked them.", registry=at
        )
        self._proxy_headers = Counter(
            "ddnsd_proxy_headers_refused",
            "Connections of trusted proxies that began with no PROXY header.",
            ("reason",),
            registry=at,
        )
        self._connections = Gauge("ddnsd_connections", "Clients that are connected.", registry=at)
        self._closed = Counter(
            "ddnsd_connections_closed",
            "Clients' connections that were closed to make room for others.",
            ("reason",),
            registry=at,
        )
        self._internal_closed = Counter(
            "ddnsd_internal_connections_closed",
            "Connections to the admin and health listeners that were closed to make room for others.",
            ("listener", "reason"),
            registry=at,
        )
        self._groups = Counter("ddnsd_commit_groups", "Group commits sent to the store.", registry=at)
        self._updates = Counter(
            "ddnsd_commit_updates", "Conditional updates in group commits.", ("outcome",), registry=at
        )
        self._store_failures = Counter(
            "ddnsd_store_failures", "Calls that the store did not do.", ("kind",), registry=at
        )
        self._revision = Gauge("ddnsd_store_revision", "Newest revision that this node knows.", registry=at)
        self._watch_seconds = Histogram(
            "ddnsd_watch_lag_seconds",
            "How long requests waited for this node to know the newest state.",
            buckets=_WATCH_SECONDS,
            registry=at,
        )

    def _publishing(self) -> None:
        at, each = self._registry, ("nameserver",)
        self._leader = Gauge("ddnsd_leader", "1 while this node leads, and so publishes.", registry=at)
        self._expiring = Gauge(
            "ddnsd_hosts_expiring",
            "Hosts that soon have no address any more, unless they are refreshed; as the leader sees it.",
            registry=at,
        )
        self._batches = Counter("ddnsd_publish_batches", "UPDATEs sent with records.", each, registry=at)
        self._records = Counter("ddnsd_publish_records", "Records sent.", (*each, "result"), registry=at)
        self._queue = Gauge("ddnsd_publish_queue", "Records that wait for publication.", each, registry=at)
        self._errors = Counter(
            "ddnsd_nameserver_errors", "Failures of a nameserver.", (*each, "kind"), registry=at
        )
        self._drift = Counter("ddnsd_drift", "Records found not served as committed.", each, registry=at)
        self._publish_seconds = Histogram(
            "ddnsd_publish_seconds",
            "From a record's commit to its acknowledgement.",
            each,
            buckets=_PUBLISH_SECONDS,
            registry=at,
        )

    def _configuration(self) -> None:
        at = self._registry
        self._reloads = Counter(
            "ddnsd_config_reloads", "Changed configurations that were read.", ("outcome",), registry=at
        )
        self._config_current = Gauge(
            "ddnsd_config_reload_success",
            "1 if the newest configuration is in force, 0 if it was refused.",
            registry=at,
        )
        self._config_since = Gauge(
            "ddnsd_config_reload_success_timestamp_seconds",
            "Since when the configuration of now is in force, in Unix time.",
            registry=at,
        )
        self._config_waiting = Gauge(
            "ddnsd_config_waiting_for_restart",
            "Changed settings that take effect at the next start.",
            registry=at,
        )

    def _start_at_zero(self) -> None:
        # Kept, because the hot path counts by them: `labels` costs more than to count.
        self._took = {api: self._request_seconds.labels(api) for api in RESULTS}
        self._answered = {
            (api, result): self._requests.labels(api, result)
            for api, results in RESULTS.items()
            for result in results
        }
        for outcome in COMMIT_OUTCOMES:
            self._updates.labels(outcome)
        for reason in PROXY_HEADER_FAILURES:
            self._proxy_headers.labels(reason)
        for reason in CLOSED_CONNECTIONS:
            self._closed.labels(reason)
            for listener in INTERNAL_LISTENERS:
                self._internal_closed.labels(listener, reason)
        for kind in STORE_FAILURES:
            self._store_failures.labels(kind)
        for outcome in RELOADS:
            self._reloads.labels(outcome)


_PASS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class KubeMetrics:
    """In the registry of the process's other metrics. `kinds` are the plurals of the custom resources."""

    def __init__(self, registry: CollectorRegistry, kinds: Collection[str]) -> None:
        at = registry
        self._controls = Gauge(
            "ddnsd_kube_controller", "1 while this process controls the custom resources.", registry=at
        )
        self._objects = Gauge(
            "ddnsd_kube_objects",
            "Custom resources, by kind and acceptance.",
            ("kind", "accepted"),
            registry=at,
        )
        self._held = Gauge(
            "ddnsd_kube_held_deletions", "Deletions that wait for `ddnsd source prune`.", registry=at
        )
        self._passes = Histogram(
            "ddnsd_kube_pass_seconds",
            "How long it took to make the store hold what the custom resources say.",
            buckets=_PASS_SECONDS,
            registry=at,
        )
        self._failures = Counter(
            "ddnsd_kube_pass_failures", "Passes that the store did not allow.", registry=at
        )
        self._written = Counter("ddnsd_kube_status_writes", "Statuses written.", registry=at)
        self._waiting = Gauge("ddnsd_kube_status_queue", "Statuses that wait to be written.", registry=at)
        self._unfollowed = Gauge(
            "ddnsd_kube_unfollowed", "Lists of custom resources that cannot be followed now.", registry=at
        )
        for kind in kinds:
            self.objects(kind, 0, 0)

    def controls(self, does: bool) -> None:
        """Say whether this process controls."""
        self._controls.set(does)

    def objects(self, kind: str, accepted: int, others: int) -> None:
        """Say how many objects of a kind there are."""
        self._objects.labels(kind, "true").set(accepted)
        self._objects.labels(kind, "false").set(others)

    def held(self, count: int) -> None:
        """Say how many deletions are held back."""
        self._held.set(count)

    def passed(self, seconds: float) -> None:
        """Count a pass, and how long it took."""
        self._passes.observe(seconds)

    def failed(self) -> None:
        """Count a pass that failed."""
        self._failures.inc()

    def status_written(self) -> None:
        """Count a status."""
        self._written.inc()

    def waiting(self, count: int) -> None:
        """Say how many statuses wait."""
        self._waiting.set(count)

    def unfollowed(self, count: int) -> None:
        """Say how many lists cannot be followed."""
        self._unfollowed.set(count)


_HELP = "# HELP "


def merged(texts: Mapping[int, bytes]) -> bytes:
    """Return the expositions of workers, by number, as one: each family once, labelled `worker`.

    They are what `Metrics.text` makes: a family is its HELP, its TYPE and its samples, in this order.
    """
    families: dict[str, list[str]] = {}  # the samples by the family's first lines
    for worker, text in texts.items():
        for family in text.decode().split(_HELP)[1:]:
            name, about, *samples = family.splitlines()
            families.setdefault(f"{_HELP}{name}\n{about}", []).extend(_labelled(samples, worker))
    lines = (line for head, samples in families.items() for line in (head, *samples))
    return "".join(f"{line}\n" for line in lines).encode()


def _labelled(samples: Iterable[str], worker: int) -> Iterable[str]:
    """Add the label; a sample is `name value` or `name{labels} value`."""
    label = f'worker="{worker}"'
    for sample in samples:
        if "{" in sample:
            yield sample.replace("{", f"{{{label},", 1)
        else:
            yield sample.replace(" ", f"{{{label}}} ", 1)
