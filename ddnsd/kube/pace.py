"""How much of its process the controller takes."""

from ddnsd.service.timeslice import TimeSlice

_SECONDS = 0.001  # an update waits for several turns of the loop: each shall be short
_SHARE = 0.25


def background() -> TimeSlice:
    """Return what leaves most of the event loop to others: in embedded mode clients wait for it, too."""
    return TimeSlice(_SECONDS, _SHARE)
