"""The attempts that a node has refused lately: in memory only, so that nobody fills the store with them."""

from collections import deque
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
    client's address.
    """

    at: datetime
    api: Api
    name: str
    result: str
    source: str
    token: str


class RefusedAttempts:
    """The newest attempts of this process, so many and no more."""

    def __init__(self) -> None:
        self._attempts: deque[RefusedAttempt] = deque(maxlen=MOST_REFUSED)

    def note(self, at: datetime, api: Api, name: str, result: str, source: str, token: str) -> None:
        """Note an attempt; the arguments are `RefusedAttempt`'s."""
        self._attempts.append(RefusedAttempt(at, api, name, result, source, token))

    def all(self) -> tuple[RefusedAttempt, ...]:
        """Return them all, the oldest first."""
        return tuple(self._attempts)


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
