"""A thin client of the Kubernetes API: list, watch, get, apply, create and delete, of any resource.

It knows nothing of ddnsd. `Client` is the verbs, `Reflector` keeps a whole selection current on them.
"""

from ddnsd.kube.api.client import Client, Listing, Serving, Watch
from ddnsd.kube.api.objects import (
    AlreadyExistsError,
    ConflictError,
    Event,
    EventKind,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    Key,
    KubeError,
    MalformedError,
    Metadata,
    NotFoundError,
    NotServedError,
    Object,
    OverloadedError,
    Owner,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from ddnsd.kube.api.reflector import Absence, Backoff, Gone, Reflector, State, View
from ddnsd.kube.api.settings import EVENTS, SECRETS, Resource, Selection, Settings, in_cluster_server

__all__ = [
    "EVENTS",
    "SECRETS",
    "Absence",
    "AlreadyExistsError",
    "Backoff",
    "Client",
    "ConflictError",
    "Event",
    "EventKind",
    "ExpiredError",
    "ForbiddenError",
    "Gone",
    "InvalidError",
    "Key",
    "KubeError",
    "Listing",
    "MalformedError",
    "Metadata",
    "NotFoundError",
    "NotServedError",
    "Object",
    "OverloadedError",
    "Owner",
    "Reflector",
    "RefusedError",
    "Resource",
    "Selection",
    "Serving",
    "Settings",
    "State",
    "UnauthorizedError",
    "UnavailableError",
    "View",
    "Watch",
    "in_cluster_server",
]
