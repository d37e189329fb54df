"""What came of a change, an apply or an import; and the errors that say why the registry did not do it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum

import msgspec

from ddnsd.config.reader import Problem
from ddnsd.model.resources import Kind
from ddnsd.service.archive import Counts
from ddnsd.service.documents import Reason
from ddnsd.store.interface import StoreError


class Result(StrEnum):
    """What came of one document."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    NOT_APPLIED = "not applied"


class ApplyResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one document: its place in the call, from 1, and what it was.

    `warning` is what its writer should know all the same.
    """

    document: int
    kind: Kind
    name: str
    result: Result
    warning: str = ""


class Applied(msgspec.Struct, frozen=True):
    """What came of an apply. `atomic`: all in one commit. `withdrawn`: the hosts that lost an address."""

    atomic: bool
    results: tuple[ApplyResult, ...]
    withdrawn: tuple[str, ...] = ()


class Restored(msgspec.Struct, frozen=True):
    """What came of an import: what it made, and what was there already, the same.

    `addresses` are those that it committed, `kept` those that clients have changed since the export
    was made and that stay so. Of the committed ones `unusable` are such that no client may send today, and
    `unreachable` such that it may not where `addresses.private` is `refuse`.
    """

    created: Counts
    unchanged: Counts
    addresses: int
    kept: int
    unusable: int = 0
    unreachable: int = 0


class RegistryError(Exception):
    """Nothing was changed, unless the error says so.

    RegistryError
    ├── NotFoundError             there is no such resource
    ├── PreconditionFailedError   it is not at the revision that the caller expects
    ├── RefusedError              other resources stand in the way
    ├── StoreFailedError          the store did not do it, or its answer is not known
    ├── NotMineError              the caller does not control the source (any more)
    ├── SourceTakenError          the source's name is bound to somebody else
    └── PartlyDoneError           a part of the documents is applied, or imported

    Beside it, `service.documents.InvalidDocumentError`: the documents themselves are wrong.
    """


class NotFoundError(RegistryError):
    """There is no such resource."""


class PreconditionFailedError(RegistryError):
    """The resource has changed since the caller read it, or is gone."""


class RefusedError(RegistryError):
    """Not as long as other resources are as they are.

    `reason` is of a single document. `count` is how many hosts stand in the way, 0 where it is something
    else. `problems` are those of single documents, where there were several.
    """

    def __init__(
        self,
        message: str,
        reason: Reason = Reason.INVALID,
        *,
        count: int = 0,
        problems: tuple[Problem, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.count = count
        self.problems = problems


class StoreFailedError(RegistryError):
    """The store could not be asked, or its answer was lost; the message says which."""


@contextmanager
def store_failures(what: str) -> Iterator[None]:
    """Say what to do where the store cannot be asked; `what` is it that cannot be done.

    Raises:
        StoreFailedError: instead of `StoreError`.
    """
    try:
        yield
    except StoreError as error:
        raise StoreFailedError(f"the store cannot {what} now ({error}): try again") from error


class NotMineError(RegistryError):
    """The caller leads the source's controllers no more, or the source's name is not bound to it."""


class SourceTakenError(RegistryError):
    """The source's name is bound to another Namespace, by its `uid`, since `bound`."""

    def __init__(self, source: str, uid: str, bound: datetime) -> None:
        since = bound.isoformat(timespec="seconds")
        super().__init__(
            f"source {source} is bound to the Namespace with uid {uid} since {since}: choose another "
            f"kube.source, or, if that one is gone, take it over with `ddnsd source takeover {source}`"
        )
        self.uid = uid
        self.bound = bound


class PartlyDoneError(RegistryError):
    """A large apply, or an import, ended early; `done` says how far it came, the cause says why."""

    def __init__(self, message: str, done: Applied | Restored) -> None:
        super().__init__(message)
        self.done = done
