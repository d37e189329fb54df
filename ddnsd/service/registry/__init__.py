"""Accounts, tokens, zones and hosts: read, changed and deleted, one change at a time in the cluster."""

from ddnsd.service.registry.bulk import MAX_ATOMIC
from ddnsd.service.registry.registry import ANY, Precondition, PutResult, Registry
from ddnsd.service.registry.results import (
    Applied,
    ApplyResult,
    NotFoundError,
    NotMineError,
    PartlyDoneError,
    PreconditionFailedError,
    RefusedError,
    RegistryError,
    Restored,
    Result,
    SourceTakenError,
    StoreFailedError,
)
from ddnsd.service.registry.rules import Deleted
from ddnsd.service.registry.sourced import SourcedRegistry

__all__ = [
    "ANY",
    "MAX_ATOMIC",
    "Applied",
    "ApplyResult",
    "Deleted",
    "NotFoundError",
    "NotMineError",
    "PartlyDoneError",
    "Precondition",
    "PreconditionFailedError",
    "PutResult",
    "RefusedError",
    "Registry",
    "RegistryError",
    "Restored",
    "Result",
    "SourceTakenError",
    "SourcedRegistry",
    "StoreFailedError",
]
