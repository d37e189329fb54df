"""What every store must do, whichever it is.

A test module of a store subclasses `StoreContract` and provides two fixtures: `store`, an open store
with nothing in it, and `compact`, a coroutine function that makes it forget its history up to now.
"""

from .commits import CommitContract
from .elections import ElectionContract
from .lifetime import LifetimeContract
from .registrations import RegistrationContract
from .upkeep import UpkeepContract
from .watches import WatchContract


class StoreContract(
    CommitContract,
    WatchContract,
    ElectionContract,
    RegistrationContract,
    UpkeepContract,
    LifetimeContract,
):
    """All of it."""
