"""Accounts, tokens, zones and hosts: read, changed and deleted, one change at a time in the cluster."""

from .apply import MAX_ATOMIC
from .deletion import Deleted
from .errors import (
    NotFoundError,
    NotMineError,
    PartlyAppliedError,
    PartlyRestoredError,
    PreconditionFailedError,
    RefusedError,
    RegistryError,
    SourceTakenError,
    StoreFailedError,
)
from .registry import ANY, CreatedToken, Page, Precondition, Put, Registry
from .results import Applied, ApplyResult, Restored, Result
from .rules import Written
from .sourced import SourcedRegistry

__all__ = [
    "ANY",
    "MAX_ATOMIC",
    "Applied",
    "ApplyResult",
    "CreatedToken",
    "Deleted",
    "NotFoundError",
    "NotMineError",
    "Page",
    "PartlyAppliedError",
    "PartlyRestoredError",
    "Precondition",
    "PreconditionFailedError",
    "Put",
    "RefusedError",
    "Registry",
    "RegistryError",
    "Restored",
    "Result",
    "SourceTakenError",
    "SourcedRegistry",
    "StoreFailedError",
    "Written",
]
