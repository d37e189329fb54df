"""How etcd is: what its members say of themselves, and what the calls that fail say of them.

A fault is logged when it changes, and counted every time. Versions with known defects are warned of; sources
are etcd's CHANGELOG and security advisories.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from logging import ERROR, INFO, WARNING
from typing import NamedTuple

import structlog

from ddnsd.etcd import EtcdClient, EtcdError
from ddnsd.etcd.errors import (
    AuthenticationError,
    CampaignLostError,
    CertificateError,
    EtcdCompactedError,
    LeaseNotFoundError,
    MemberOverloadedError,
    MemberRefusedError,
    NoLeaderError,
    NoSpaceError,
    PermissionDeniedError,
    RequestRefusedError,
)
from ddnsd.etcd.values import MemberStatus
from ddnsd.store.etcd.transaction import EtcdStoreSettings
from ddnsd.store.interface import FailureKind, StoreHealth, StoreProblem, StoreServer

_log = structlog.get_logger(__name__)

_KINDS: tuple[tuple[type[EtcdError], FailureKind], ...] = (
    (NoLeaderError, FailureKind.NO_QUORUM),
    (CertificateError, FailureKind.CERTIFICATE),
    (AuthenticationError, FailureKind.AUTHENTICATION),
    (PermissionDeniedError, FailureKind.PERMISSION),
    (NoSpaceError, FailureKind.NO_SPACE),
    (MemberOverloadedError, FailureKind.UNREACHABLE),
    (MemberRefusedError, FailureKind.REFUSED),
    (RequestRefusedError, FailureKind.REFUSED),
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


class CallFailures:
    """Keeps what fails now. Lives as long as the store."""

    def __init__(self, prefix: str) -> None:
        self._now: dict[Access, tuple[FailureKind, str]] = {}  # with the reason
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
    def of_writes(self) -> StoreProblem | None:
        """Why the last write failed; None once one was answered."""
        if Access.WRITE not in self._now:
            return None
        kind, reason = self._now[Access.WRITE]
        return StoreProblem(reason, self._remedies[kind])

    @property
    def problems(self) -> Iterator[StoreProblem]:
        """What fails now, each kind once."""
        for kind, reason in dict(self._now.values()).items():
            yield StoreProblem(reason, self._remedies[kind])

    def problem_of(self, error: EtcdError) -> StoreProblem:
        """Return what an error means to an operator."""
        return StoreProblem(str(error), self._remedies[_kind(error)])

    def failed(self, access: Access, error: EtcdError) -> None:
        """Note that a call failed."""
        if isinstance(error, CampaignLostError | EtcdCompactedError | LeaseNotFoundError):
            return  # of no access: a node that was frozen finds its lease ended
        kind = _kind(error)
        self._count(kind)
        self._now[access] = (kind, str(error))
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


_RECOMMENDED = "upgrade to the newest 3.5 or 3.6, 3.5.13 at least"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-.*)?")


class Version(NamedTuple):
    """A release of etcd."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Return the release that a member names; None if that is none."""
        match = _VERSION.fullmatch(text)
        return cls(*map(int, match.groups())) if match else None


def defects(text: str, *, roles: bool) -> Iterator[StoreProblem]:
    """Yield what is wrong with a release. `roles`: etcd's own users are used."""
    version = Version.parse(text)
    if version is None:
        return
    if Version(3, 5, 0) <= version <= Version(3, 5, 2):  # CHANGELOG-3.5, v3.5.3: data inconsistency
        yield StoreProblem(f"etcd {text} can lose data when it is killed", _RECOMMENDED)
    elif version < Version(3, 5, 13):
        yield StoreProblem(f"etcd {text} has defects that are repaired in newer ones", _RECOMMENDED)
    if roles and not _checks_nested(version):
        yield StoreProblem(
            f"etcd {text} does not check nested transactions against roles (CVE-2026-33343): "
            "each of its users can read and write all keys",
            "upgrade to 3.4.42, 3.5.28 or 3.6.9 at least; until then let nobody else reach it",
        )


def _checks_nested(version: Version) -> bool:
    """Say whether GHSA-rfx7-8w68-q57q is repaired."""
    repaired = {(3, 4): 42, (3, 5): 28, (3, 6): 9}
    return version.patch >= repaired.get(version[:2], 0) and version >= Version(3, 4, 0)


_FULL = 0.6  # of the quota
_ALARMS = {
    "NOSPACE": "compact etcd, run `etcdctl defrag` on each member, then `etcdctl alarm disarm`",
    "CORRUPT": "remove the member that `etcdctl alarm list` names, and add it anew with an empty data folder",
}
_SHRINK = (
    "see that etcd is compacted (store.compact_after, or its --auto-compaction-retention), run "
    "`etcdctl defrag` on each member, or raise --quota-backend-bytes"
)

Statuses = Mapping[str, MemberStatus | EtcdError]


async def ask_health(
    client: EtcdClient, settings: EtcdStoreSettings, known: Iterable[StoreProblem]
) -> StoreHealth:
    """Ask every endpoint; `known` are problems that other calls have met. It takes one try's time."""
    statuses = await client.statuses()
    try:
        found = await client.members(timeout=settings.cluster.try_timeout)
    except EtcdError:
        members: tuple[str, ...] = ()  # why not, an endpoint or `known` says
    else:
        members = tuple(sorted(member.name for member in found))
    problems = dict.fromkeys((*known, *_problems(statuses, settings)))  # each once
    servers = tuple(_server(name, status) for name, status in statuses.items())
    return StoreHealth(servers, members, tuple(problems))


def _server(name: str, status: MemberStatus | EtcdError) -> StoreServer:
    if isinstance(status, EtcdError):
        return StoreServer(name, error=str(status))
    leads = status.leader == status.member_id
    return StoreServer(name, status.version, status.size, status.size_in_use, leads)


def _problems(statuses: Statuses, settings: EtcdStoreSettings) -> Iterator[StoreProblem]:
    roles = settings.cluster.credentials is not None
    for name, status in statuses.items():
        if isinstance(status, EtcdError):
            yield StoreProblem(f"etcd does not answer: {status}", f"see whether {name} runs")
            continue
        yield from defects(status.version, roles=roles)
        yield from _alarms(status)
        yield from _size(name, status, settings.quota)


def _alarms(status: MemberStatus) -> Iterator[StoreProblem]:
    """Yield the alarms; a member tells them all as "memberID:… alarm:…"."""
    for text in status.errors:
        for alarm, remedy in _ALARMS.items():
            if alarm in text:
                yield StoreProblem(f"etcd has the alarm {alarm}", remedy)


def _size(name: str, status: MemberStatus, quota: int) -> Iterator[StoreProblem]:
    allowed = status.quota or quota
    if status.size >= _FULL * allowed:
        percent = 100 * status.size // allowed
        yield StoreProblem(f"{name}: the database has {percent} % of its quota", _SHRINK)
