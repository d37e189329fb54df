"""What came of an apply."""

from enum import StrEnum

import msgspec

from ...model.resources import Kind


class Result(StrEnum):
    """What came of one document."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    NOT_APPLIED = "not applied"


class ApplyResult(msgspec.Struct, frozen=True):
    """What came of one document: its place in the call, from 1, and what it was."""

    document: int
    kind: Kind
    name: str
    result: Result


class Applied(msgspec.Struct, frozen=True):
    """What came of an apply. `atomic`: all in one commit."""

    atomic: bool
    results: tuple[ApplyResult, ...]
