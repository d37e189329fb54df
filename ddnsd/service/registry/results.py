"""What came of an apply, of an import."""

from enum import StrEnum

import msgspec

from ddnsd.model.resources import Kind
from ddnsd.service.archive import Counts


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
