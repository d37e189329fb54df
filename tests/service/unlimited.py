"""A judge of clients that lets everybody do everything, for tests of something else."""

from ddnsd.model.ratelimit import Rate
from ddnsd.model.state import State
from ddnsd.service.limits import ClientLimits, FairUse, FairUseLimits, RefusedAttempts


def unlimited(state: State) -> ClientLimits:
    rate = Rate(1.0, 1.0)
    return ClientLimits(state, FairUse(FairUseLimits(False, rate, rate, rate, rate, rate)), RefusedAttempts())
