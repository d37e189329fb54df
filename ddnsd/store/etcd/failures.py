"""What is wrong with etcd, seen from the calls that fail: logged when it changes, counted every time."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from logging import ERROR, INFO, WARNING
from typing import NamedTuple

import structlog

from ddnsd.etcd import EtcdError
from ddnsd.etcd.errors import (
    AuthenticationError,
    CampaignLostError,
    CertificateError,
    CompactedError,
    LeaseNotFoundError,
    MemberRefusedError,
    NoLeaderError,
    NoSpaceError,
    OverloadedError,
    PermissionDeniedError,
    RefusedError,
)
from ddnsd.store.interface import FailureKind, Problem

_log = structlog.get_logger(__name__)

_KINDS: tuple[tuple[type[EtcdError], FailureKind], ...] = (
    (NoLeaderError, FailureKind.NO_QUORUM),
    (CertificateError, FailureKind.CERTIFICATE),
    (AuthenticationError, FailureKind.AUTHENTICATION),
    (PermissionDeniedError, FailureKind.PERMISSION),
    (NoSpaceError, FailureKind.NO_SPACE),
    (OverloadedError, FailureKind.UNREACHABLE),
    (MemberRefusedError, FailureKind.REFUSED),
    (RefusedError, FailureKind.REFUSED),
    (EtcdError, FailureKind.UNREACHABLE),
)
_REMEDIES = {
    FailureKind.NO_QUORUM: "start the members that are down: more than half of them must run",
    FailureKind.CERTIFICATE: "see that the certificates of etcd and of store.etcd.tls are still valid, that "
    "each side has the other's authority, and that etcd's names the host in store.etcd.endpoints",
    FailureKind.AUTHENTICATION: "see that store.etcd.user and password_file are those of a user of etcd's",
    FailureKind.NO_SPACE: "compact etcd, run `etcdctl defrag` on each member, then `etcdctl alarm disarm`; "
    "or raise --quota-backend-bytes",
    FailureKind.UNREACHABLE: "see that etcd runs and that store.etcd.endpoints names its members",
    FailureKind.REFUSED: "see what etcd says, here and in its log, and that store.etcd.endpoints names "
    "members that vote",
}
_OPERATORS = (  # those that do not go away by themselves
    FailureKind.CERTIFICATE,
    FailureKind.AUTHENTICATION,
    FailureKind.PERMISSION,
    FailureKind.NO_SPACE,
    FailureKind.REFUSED,
)


class Access(StrEnum):
    """What a call wants. Each fails and recovers by itself: a full etcd can be read."""

    READ = "read"
    WRITE = "write"
    WATCH = "watch"


class Failure(NamedTuple):
    """Why calls fail now."""

    kind: FailureKind
    reason: str


class Failures:
    """Keeps what fails now. Lives as long as the store."""

    def __init__(self, prefix: str) -> None:
        self._now: dict[Access, Failure] = {}
        self._told: set[FailureKind] = set()  # in the log, since all was well
        self._count: Callable[[FailureKind], None] = lambda _: None
        grant = f"etcdctl role grant-permission ROLE --prefix=true readwrite {prefix}"
        self._remedies = {
            **_REMEDIES,
            FailureKind.PERMISSION: f"`{grant}`, for a role of store.etcd.user; or correct store.etcd.prefix",
        }

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        """Call this at each failure from now on."""
        self._count = count

    @property
    def of_writes(self) -> Problem | None:
        """Why the last write failed; None once one was answered."""
        failure = self._now.get(Access.WRITE)
        return Problem(failure.reason, self._remedies[failure.kind]) if failure else None

    @property
    def problems(self) -> Iterator[Problem]:
        """What fails now, each kind once."""
        for kind, reason in {failure.kind: failure.reason for failure in self._now.values()}.items():
            yield Problem(reason, self._remedies[kind])

    def problem_of(self, error: EtcdError) -> Problem:
        """Return what an error means to an operator."""
        return Problem(str(error), self._remedies[_kind(error)])

    def failed(self, access: Access, error: EtcdError) -> None:
        """Note that a call failed."""
        if isinstance(error, CampaignLostError | CompactedError | LeaseNotFoundError):
            return  # of no access: a node that was frozen finds its lease ended
        kind = _kind(error)
        self._count(kind)
        self._now[access] = Failure(kind, str(error))
        if kind not in self._told:
            self._told.add(kind)
            level = ERROR if kind in _OPERATORS else WARNING
            _log.log(level, "store.failing", kind=kind, reason=str(error), remedy=self._remedies[kind])

    def succeeded(self, access: Access) -> None:
        """Note that a call was answered."""
        if self._now.pop(access, None) is not None and not self._now:
            _log.log(INFO, "store.recovered", kinds=sorted(map(str, self._told)))
            self._told.clear()


def _kind(error: EtcdError) -> FailureKind:
    return next(kind for type, kind in _KINDS if isinstance(error, type))
