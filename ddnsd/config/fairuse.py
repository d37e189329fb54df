"""The settings of fair use: how often clients may ask, before they are told to wait."""

from dataclasses import dataclass
from typing import Annotated

from ddnsd.config.annotation import Bounds, FromText, Section
from ddnsd.config.parse import parse_truth

_PER_SECOND = Bounds(0.001, 1_000_000)
_AT_ONCE = Bounds(1, 10_000_000)
_AT_A_TIME = Bounds(1, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FairUseSettings(Section):
    """How often a token, an account, a source and all strangers may do what: so many a second, and at once.

    An attempt is a request with a valid token that is not answered 未变化, nor failed by the nameserver or
    the store. A change is an address that is committed. A failure is a request without a valid token.
    """

    enabled: Annotated[bool, FromText(parse_truth)] = True
    """Whether there are limits at all; each process counts for itself, in memory."""

    token_attempts: Annotated[float, _PER_SECOND] = 10.0
    """Attempts a second that a token may make for ever; what changes nothing is none."""

    token_attempts_burst: Annotated[int, _AT_ONCE] = 200
    """Attempts that a token may make at once, after a rest."""

    token_changes: Annotated[float, _PER_SECOND] = 1.0
    """Changes of addresses a second that a token may make for ever."""

    token_changes_burst: Annotated[int, _AT_ONCE] = 120
    """Changes that a token may make at once, after a rest; a larger one by itself is let through then."""

    account_attempts: Annotated[float, _PER_SECOND] = 100.0
    """Attempts a second of all tokens of an account together."""

    account_attempts_burst: Annotated[int, _AT_ONCE] = 2000
    """Attempts at once of all tokens of an account together."""

    account_changes: Annotated[float, _PER_SECOND] = 10.0
    """Changes a second of all tokens of an account together."""

    account_changes_burst: Annotated[int, _AT_ONCE] = 1200
    """Changes at once of all tokens of an account together."""

    token_waiting: Annotated[int, _AT_A_TIME] = 32
    """Requests of a token that may wait for a nameserver, or the store, at the same time."""

    account_waiting: Annotated[int, _AT_A_TIME] = 128
    """Such requests of all tokens of an account together."""

    source_failures: Annotated[float, _PER_SECOND] = 1.0
    """Requests a second without a valid token from one address (IPv6: /64; 4 times /56, 16 times /48)."""

    source_failures_burst: Annotated[int, _AT_ONCE] = 60
    """Requests at once without a valid token from one address; valid tokens go on."""

    process_failures: Annotated[float, _PER_SECOND] = 100.0
    """Requests a second without a valid token from all addresses together; valid tokens go on."""

    process_failures_burst: Annotated[int, _AT_ONCE] = 2000
    """Requests at once without a valid token from all addresses together."""
