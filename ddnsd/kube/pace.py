"""How much of its process the controller takes."""

from ddnsd.aio import Slice

_SECONDS = 0.001  # an update waits for several turns of the loop: each shall be short


def background() -> Slice:
    """Return what leaves most of the event loop to others: in embedded mode clients wait for it, too."""
    return Slice(_SECONDS)
