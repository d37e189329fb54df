"""The parts of a running node that see a new configuration, and what each of them sees of it."""

from typing import NamedTuple

import msgspec

from ddnsd.app.adapters import Nameservers
from ddnsd.app.listeners import HttpListeners
from ddnsd.app.membership import Membership
from ddnsd.app.policies import fair_use_limits, leader_policy, update_policy
from ddnsd.app.reloader import Reloader
from ddnsd.leader.candidate import Candidate, Preference
from ddnsd.model.records import Member
from ddnsd.service.limits import FairUse
from ddnsd.service.registry import Registry
from ddnsd.service.update import UpdateService
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.admin import AdminTokens
from ddnsd.web.client_address import SourceFinder


class LiveParts(NamedTuple):
    """All but the store, which has to see a new password before there is a node."""

    reloader: Reloader
    metrics: Metrics
    cache: WatchCache
    updates: UpdateService
    fair_use: FairUse
    sources: SourceFinder
    listeners: HttpListeners
    admin_tokens: AdminTokens
    registry: Registry
    nameservers: Nameservers
    candidate: Candidate
    preference: Preference
    membership: Membership
    member: Member

    def take_over(self) -> None:
        """Let all parts go on with the configuration in force; in one turn, so that no request sees half."""
        settings, admin_tokens, tls = self.reloader.configuration
        self.cache.reconfigure(settings.store.timeout)
        self.updates.reconfigure(update_policy(settings))
        self.fair_use.reconfigure(fair_use_limits(settings))
        self.sources.reconfigure(settings.trusted_proxies, settings.trusted_headers)
        self.listeners.reconfigure_public(tls)
        self.admin_tokens.reconfigure(admin_tokens)
        self.metrics.expect(settings.nameservers)
        self.nameservers.reconfigure(settings)
        self.registry.reconfigure(nameservers=settings.nameservers, timeout=settings.store.timeout)
        self.candidate.reconfigure(self.nameservers.by_name, leader_policy(settings))
        self._speak_up()

    def _speak_up(self) -> None:
        """Say what this node is now, to the others and in the metrics."""
        settings, configured = self.reloader.configuration.settings, self.reloader.configured
        member = msgspec.structs.replace(
            self.member,
            nameservers=frozenset(settings.nameservers),
            eligible=settings.leader.eligible,
            priority=settings.leader.priority,
            configuration=configured,
        )
        self.preference.reconfigure(member)
        self.membership.reconfigure(member)
        self.metrics.configured(
            current=not configured.refused,
            since=self.reloader.since.timestamp(),
            waiting=len(configured.waiting),
        )
