"""What every store must do, whichever it is.

A test module of a store subclasses `StoreContract` and provides two fixtures: `store`, an open store
with nothing in it, and `compact`, a coroutine function that makes it forget its history up to now.
"""

from tests.store.contract.commits import CommitContract
from tests.store.contract.elections import ElectionContract
from tests.store.contract.lifetime import LifetimeContract
from tests.store.contract.registrations import RegistrationContract
from tests.store.contract.upkeep import UpkeepContract
from tests.store.contract.watches import WatchContract


class StoreContract(
    CommitContract,
    WatchContract,
    ElectionContract,
    RegistrationContract,
    UpkeepContract,
    LifetimeContract,
):
    """All of it."""
