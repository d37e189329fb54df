"""Accounts, tokens, zones and hosts: read, changed and deleted, one change at a time in the cluster."""

from ddnsd.service.registry.apply import MAX_ATOMIC
from ddnsd.service.registry.deletion import Deleted
from ddnsd.service.registry.errors import (
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
from ddnsd.service.registry.registry import ANY, CreatedToken, Page, Precondition, Put, Registry
from ddnsd.service.registry.results import Applied, ApplyResult, Restored, Result
from ddnsd.service.registry.rules import Written
from ddnsd.service.registry.sourced import SourcedRegistry

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
