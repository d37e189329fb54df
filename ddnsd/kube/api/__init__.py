"""A thin client of the Kubernetes API: list, watch, get, apply, create and delete, of any resource.

It knows nothing of ddnsd. `Client` is the verbs, `Reflector` keeps a whole selection current on them.
"""

from .backoff import Backoff
from .client import Client, Listing, Serving
from .errors import (
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
from .objects import Event, EventKind, Key, Metadata, Object, Owner
from .reflector import Reflector, State, View
from .replica import Absence, Gone
from .resource import EVENTS, SECRETS, Resource, Selection
from .settings import Settings, in_cluster_server
from .watch import Watch

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
