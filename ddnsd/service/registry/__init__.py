"""Accounts, tokens, zones and hosts: read, changed and deleted, one change at a time in the cluster."""

from ddnsd.service.registry.bulk import MAX_ATOMIC
from ddnsd.service.registry.registry import ANY, CreatedToken, Precondition, PutResult, Registry, ResourcePage
from ddnsd.service.registry.results import (
    Applied,
    ApplyResult,
    NotFoundError,
    NotMineError,
    PartlyAppliedError,
    PartlyRestoredError,
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
    "CreatedToken",
    "Deleted",
    "NotFoundError",
    "NotMineError",
    "PartlyAppliedError",
    "PartlyRestoredError",
    "Precondition",
    "PreconditionFailedError",
    "PutResult",
    "RefusedError",
    "Registry",
    "RegistryError",
    "ResourcePage",
    "Restored",
    "Result",
    "SourceTakenError",
    "SourcedRegistry",
    "StoreFailedError",
]
