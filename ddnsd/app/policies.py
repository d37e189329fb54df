"""From settings to what the parts of a node want to know."""

from ddnsd.app.descriptors import internal_room, room_for
from ddnsd.config import Settings
from ddnsd.leader.context import LeaderPolicy
from ddnsd.model.ratelimit import Rate
from ddnsd.service.limits import FairUseLimits
from ddnsd.service.update import UpdatePolicy
from ddnsd.web.connections import ConnectionLimits


def update_policy(settings: Settings) -> UpdatePolicy:
    """Return what is decided about updates."""
    return UpdatePolicy(
        private=settings.addresses.private == "accept",
        timeout=settings.publish.timeout,
        store_timeout=settings.store.timeout,
    )


def fair_use_limits(settings: Settings) -> FairUseLimits:
    """Return how often clients may ask."""
    fair = settings.fair_use
    return FairUseLimits(
        enabled=fair.enabled,
        token_attempts=Rate(fair.token_attempts, fair.token_attempts_burst),
        token_changes=Rate(fair.token_changes, fair.token_changes_burst),
        account_attempts=Rate(fair.account_attempts, fair.account_attempts_burst),
        account_changes=Rate(fair.account_changes, fair.account_changes_burst),
        source_failures=Rate(fair.source_failures, fair.source_failures_burst),
        process_failures=Rate(fair.process_failures, fair.process_failures_burst),
        token_waiting=fair.token_waiting,
        account_waiting=fair.account_waiting,
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return how many clients may be connected to this process."""
    http = settings.http
    return ConnectionLimits(room_for(http.max_connections), http.max_connections_per_source)


def internal_connection_limits(settings: Settings) -> ConnectionLimits:
    """Return how many may be connected to each of the listeners for operators: admin, and health.

    They are few, and all may come from one address, such as a kubelet's or a proxy's.
    """
    room = internal_room(settings.http.max_connections)
    return ConnectionLimits(room, per_source=room + 1)


def leader_policy(settings: Settings) -> LeaderPolicy:
    """Return what is decided for whoever leads."""
    publish = settings.publish
    return LeaderPolicy(
        publish.fence,
        publish.batch,
        publish.reconcile_interval,
        publish.probe_interval,
        settings.store.compact_after,
        publish.timeout,
    )
