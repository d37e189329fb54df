"""The installation's identity: a random id in the store, made by whichever node is first."""

import secrets

from ddnsd.model.fence import Owner
from ddnsd.model.records import Installation
from ddnsd.store import codec, keys
from ddnsd.store.interface import Done, Stale, Store, UnavailableError, Update


async def installation_owner(store: Store) -> Owner:
    """Return who owns what this store publishes; make the installation's id if the store is new.

    A store that was restored from elsewhere has another identity, so it is another owner.

    Raises:
        UnavailableError: the store cannot say.
    """
    identity = store.identity  # before the id: if it is another one afterwards, this owner is not valid
    fresh = Installation(secrets.token_hex(8))
    update = Update({keys.INSTALLATION: 0}, {keys.INSTALLATION: codec.encode(fresh)})
    (outcome,) = await store.commit([update])
    if isinstance(outcome, Done):
        return Owner(fresh.id, identity)
    found = outcome.current[keys.INSTALLATION] if isinstance(outcome, Stale) else None
    if found is None:
        raise UnavailableError(f"the installation's id could not be stored: {outcome!r}")
    installation: Installation = codec.decode(codec.SHELVES[keys.INSTALLATION], found.value)
    return Owner(installation.id, identity)
