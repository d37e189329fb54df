"""Accounts, tokens, zones and hosts: read, changed and deleted, one change at a time in the cluster."""

from .apply import MAX_ATOMIC, Applied, ApplyResult, Result
from .deletion import Deleted
from .errors import (
    NotFoundError,
    PartlyAppliedError,
    PreconditionFailedError,
    RefusedError,
    RegistryError,
    StoreFailedError,
)
from .registry import ANY, CreatedToken, Page, Put, Registry
from .rules import Written
from .work import WorkDesk

__all__ = [
    "ANY",
    "MAX_ATOMIC",
    "Applied",
    "ApplyResult",
    "CreatedToken",
    "Deleted",
    "NotFoundError",
    "Page",
    "PartlyAppliedError",
    "PreconditionFailedError",
    "Put",
    "RefusedError",
    "Registry",
    "RegistryError",
    "Result",
    "StoreFailedError",
    "WorkDesk",
    "Written",
]
