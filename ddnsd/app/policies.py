"""From settings to what the parts of a node want to know."""

from ddnsd.config import Settings
from ddnsd.leader.mandate import LeaderPolicy
from ddnsd.service.update import UpdatePolicy


def update_policy(settings: Settings) -> UpdatePolicy:
    """Return what is decided about updates."""
    return UpdatePolicy(
        private=settings.addresses.private == "accept",
        timeout=settings.publish.timeout,
        store_timeout=settings.store.timeout,
    )


def leader_policy(settings: Settings) -> LeaderPolicy:
    """Return what is decided for whoever leads."""
    publish = settings.publish
    return LeaderPolicy(
        publish.fence,
        publish.batch,
        publish.reconcile_interval,
        publish.probe_interval,
        settings.store.compact_after,
    )
