"""The attempts that a node has refused lately: in memory only, so that nobody fills the store with them."""

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from ddnsd.model.request import Api
from ddnsd.model.state import State
from ddnsd.service.history import host_name, whose

MOST_REFUSED = 1000


class RefusedAttempt(msgspec.Struct, frozen=True):
    """One attempt. `name` is "" where what was sent is no name: it may be a secret.

    `result` is the refusal, as in the metrics; `token` the token's name, "" where there is none; `source` the
    client's address. Of an attempt that was done but for an address or a prefix that its host cannot take,
    `left_out` is that part, and `count` how often that was so: each host has one entry for each reason.
    """

    at: datetime
    api: Api
    name: str
    result: str
    source: str
    token: str
    left_out: str = ""
    count: int = 1


class RefusedAttempts:
    """The newest attempts of this process, so many and no more."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[object, RefusedAttempt] = OrderedDict()
        self._numbers = itertools.count()

    def note(self, attempt: RefusedAttempt) -> None:
        """Note an attempt. One that is like an earlier one, but for what was left out, is counted there."""
        key: object = (attempt.name, attempt.result) if attempt.left_out else next(self._numbers)
        if (before := self._attempts.pop(key, None)) is not None:
            attempt = msgspec.structs.replace(attempt, count=before.count + 1)
        self._attempts[key] = attempt
        if len(self._attempts) > MOST_REFUSED:
            self._attempts.popitem(last=False)

    def all(self) -> tuple[RefusedAttempt, ...]:
        """Return them all, the oldest first."""
        return tuple(self._attempts.values())


def newest(attempts: Iterable[RefusedAttempt], limit: int) -> Sequence[RefusedAttempt]:
    """Return at most `limit` attempts, the newest first."""
    return sorted(attempts, key=lambda attempt: attempt.at, reverse=True)[:limit]


def concerning(state: State, who: str, attempts: Iterable[RefusedAttempt]) -> Iterable[RefusedAttempt]:
    """Return the attempts on a host, or on an account's hosts or with its tokens; all of them for ""."""
    if not who:
        return attempts
    hosts = frozenset(whose(state, who) or (host_name(who) or who,))
    return [attempt for attempt in attempts if attempt.name in hosts or _account(state, attempt) == who]


def _account(state: State, attempt: RefusedAttempt) -> str:
    token = state.tokens.get(attempt.token)
    return token.value.spec.account if token else ""
