"""Who writes a resource: the admin API, or the controller of a Kubernetes cluster.

Accounts and Tokens of Kubernetes have names of their own (`qualified`): each namespace names them as it
likes. Zones and Hosts have their DNS names wherever they come from, so the first one to come has it.
"""

import msgspec

_BETWEEN = ":"  # stands in no name that a user writes, so nothing collides
_PREVIOUS = f"{_BETWEEN}previous"


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where in Kubernetes a resource is written; a resource of the admin API has none.

    `source` is what the cluster is called on this store (`kube.source`); `namespace` is "" for a Zone.
    """

    source: str
    namespace: str = ""

    def __str__(self) -> str:
        namespace = f", namespace {self.namespace}" if self.namespace else ""
        return f"Kubernetes: source {self.source}{namespace}"


def qualified(origin: Origin, name: str) -> str:
    """Return the name under which an Account or Token of this origin is stored."""
    return _BETWEEN.join((origin.source, origin.namespace, name))


def called(name: str, origin: Origin | None) -> str:
    """Return what a writer of this origin calls what is stored under a name."""
    return name.removeprefix(qualified(origin, "")) if origin else name


def previous_name(token: str) -> str:
    """Return the name of the token that keeps the secret before this token's, while it is still valid.

    It has no document of its own: it comes and goes with its token.
    """
    return token + _PREVIOUS


def is_previous(token: str) -> bool:
    """Say whether a token of this name keeps another one's former secret."""
    return token.endswith(_PREVIOUS)
