"""The metrics of the controller of custom resources; only the process that may be it has them."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
