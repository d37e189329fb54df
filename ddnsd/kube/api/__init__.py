"""A thin client of the Kubernetes API: list, watch, get, apply, create and delete, of any resource.

It knows nothing of ddnsd. `Client` is the verbs, `Reflector` keeps a whole selection current on them.
"""

from ddnsd.kube.api.backoff import Backoff
from ddnsd.kube.api.client import Client, Listing, Serving
from ddnsd.kube.api.errors import (
    AlreadyExistsError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KubeError,
    MalformedError,
    NotFoundError,
    NotServedError,
    OverloadedError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)
from ddnsd.kube.api.objects import Event, EventKind, Key, Metadata, Object, Owner
from ddnsd.kube.api.reflector import Reflector, State, View
from ddnsd.kube.api.replica import Absence, Gone
from ddnsd.kube.api.resource import EVENTS, SECRETS, Resource, Selection
from ddnsd.kube.api.settings import Settings, in_cluster_server
from ddnsd.kube.api.watch import Watch

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
