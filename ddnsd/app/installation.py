"""The installation's identity: a random id in the store, made by whichever node is first."""

import secrets

from ddnsd.store import keys
from ddnsd.store.interface import Done, Stale, Store, UnavailableError, Update


async def installation_id(store: Store) -> str:
    """Return the installation's id; make it if the store is new.

    Raises:
        UnavailableError: the store cannot say.
    """
    fresh = secrets.token_hex(8)
    update = Update({keys.INSTALLATION: 0}, {keys.INSTALLATION: fresh.encode()})
    (outcome,) = await store.commit([update])
    if isinstance(outcome, Done):
        return fresh
    found = outcome.current[keys.INSTALLATION] if isinstance(outcome, Stale) else None
    if found is None:
        raise UnavailableError(f"the installation's id could not be stored: {outcome!r}")
    return found.value.decode()
