"""The installation's identity: a random id in the store, made by whichever node is first."""

import secrets

from ddnsd.model.fence import FenceOwner
from ddnsd.model.records import Installation
from ddnsd.store import keys, tables
from ddnsd.store.interface import Done, KeyValue, Stale, Store, UnavailableError
from ddnsd.store.tables import Transaction


async def installation_owner(store: Store) -> FenceOwner:
    """Return who owns what this store publishes; make the installation's id if the store is new.

    A store that was restored from elsewhere has another identity, so it is another owner.

    Raises:
        UnavailableError: the store cannot say.
    """
    identity = store.identity  # before the id: if it is another one afterwards, this owner is not valid
    # A store that takes no writes can still be read.
    found = (await store.snapshot(keys.INSTALLATION)).items.get(keys.INSTALLATION)
    if found is None:
        return FenceOwner(await _made(store), identity)
    return FenceOwner(_id(found), identity)


async def _made(store: Store) -> str:
    """Make the id, or return the one that another node has just made.

    Raises:
        UnavailableError: the store cannot say.
    """
    fresh = Installation(secrets.token_hex(8))
    making = Transaction().replace(keys.INSTALLATION, None, fresh)
    (outcome,) = await store.commit([making.update()])
    if isinstance(outcome, Done):
        return fresh.id
    found = outcome.current[keys.INSTALLATION] if isinstance(outcome, Stale) else None
    if found is None:
        raise UnavailableError(f"the installation's id could not be stored: {outcome!r}")
    return _id(found)


def _id(stored: KeyValue) -> str:
    installation: Installation = tables.decode(tables.SHELVES[keys.INSTALLATION], stored.value)
    return installation.id
