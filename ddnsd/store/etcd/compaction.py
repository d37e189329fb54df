"""Letting etcd forget history: of all its keys, not only ours.

Whoever can reach an etcd without the patches of CVE-2026-33413 (3.4.42, 3.5.28, 3.6.9) may do it; with
them it takes the role root where there are users, and a role on our prefix is not enough.
"""

from collections.abc import Iterator

import structlog

from ddnsd.etcd.errors import CompactedError, PermissionDeniedError
from ddnsd.store.etcd.session import Session
from ddnsd.store.interface import Problem

_log = structlog.get_logger(__name__)

_DENIED = Problem(
    "ddnsd may not compact etcd, which takes the role root",
    "start etcd with --auto-compaction-retention=1h, so that it compacts itself",
)


class Compaction:
    """Compacts where that is allowed, and remembers where it is not."""

    def __init__(self) -> None:
        self._denied = False

    @property
    def problems(self) -> Iterator[Problem]:
        """What an operator should know."""
        if self._denied:
            yield _DENIED

    async def compact(self, session: Session, revision: int) -> bool:
        """Forget the history before a revision; False where that is not allowed.

        Raises:
            UnavailableError: not now.
        """
        with session.translated():
            try:
                await session.client.compact(revision)
            except CompactedError:
                return True  # by somebody else
            except PermissionDeniedError as error:
                self._note_denied(str(error))
                return False
        self._denied = False
        return True

    def _note_denied(self, reason: str) -> None:
        if not self._denied:
            self._denied = True
            _log.warning("store.compaction_denied", reason=reason, remedy=_DENIED.remedy)
