"""What a process is for."""

from enum import StrEnum

from ddnsd.app.sockets import LISTENERS


class Role(StrEnum):
    """What `ddnsd serve --role` names."""

    NODE = "node"  # answers, publishes when it leads
    CONTROLLER = "controller"  # puts the custom resources of Kubernetes into the store
    ALL = "all"  # both, as the embedded store is for one process

    @property
    def listeners(self) -> tuple[str, ...]:
        """The names of the HTTP listeners that it opens."""
        return ("health",) if self is Role.CONTROLLER else LISTENERS

    @property
    def controls(self) -> bool:
        """Say whether it may be the controller of custom resources."""
        return self is not Role.NODE
