"""A thin client of the Kubernetes API: list, watch, get, apply, create and delete, of any resource.

It knows nothing of ddnsd. `ApiClient` is the verbs, `Reflector` keeps a whole selection current on them.
"""

from ddnsd.kube.api.client import ApiClient, ApiWatch
from ddnsd.kube.api.objects import (
    AlreadyExistsError,
    ApiRefusedError,
    ApiUnavailableError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    Key,
    KubeError,
    NotServedError,
    Object,
    ObjectMeta,
    ObjectNotFoundError,
    WatchEvent,
)
from ddnsd.kube.api.reflector import Absence, Backoff, Gone, Reflector, ReflectorState, ReflectorView
from ddnsd.kube.api.settings import EVENTS, SECRETS, ApiResource, ApiSettings, Selection, in_cluster_server

__all__ = [
    "EVENTS",
    "SECRETS",
    "Absence",
    "AlreadyExistsError",
    "ApiClient",
    "ApiRefusedError",
    "ApiResource",
    "ApiSettings",
    "ApiUnavailableError",
    "ApiWatch",
    "Backoff",
    "ConflictError",
    "ExpiredError",
    "ForbiddenError",
    "Gone",
    "Key",
    "KubeError",
    "NotServedError",
    "Object",
    "ObjectMeta",
    "ObjectNotFoundError",
    "Reflector",
    "ReflectorState",
    "ReflectorView",
    "Selection",
    "WatchEvent",
    "in_cluster_server",
]
