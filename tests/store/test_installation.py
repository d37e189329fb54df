"""The installation's id is made once, by any of its nodes."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ddnsd.model.records import Installation
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import ConditionalWrite, Outcome, UnavailableError, Unknown
from tests.rigs.forwarding import ForwardingStore
from tests.store.contract.actions import put


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path)
    try:
        yield store
    finally:
        await store.close()


class Other(ForwardingStore):
    """A store that does something else before it commits, or instead."""

    def __init__(self, real: EmbeddedStore, *, lost: bool = False) -> None:
        super().__init__(real)
        self._lost = lost

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        if self._lost:
            return [Unknown("the answer was lost")]
        await put(self.real, keys.INSTALLATION, tables.encode(Installation("theirs")))
        return await super().commit(updates)


async def test_the_id_stays(store: EmbeddedStore) -> None:
    made = await installation_owner(store)
    assert made.installation
    assert await installation_owner(store) == made


async def test_who_is_too_late_takes_the_id_of_the_first(store: EmbeddedStore) -> None:
    assert (await installation_owner(Other(store))).installation == "theirs"


async def test_an_id_that_is_perhaps_stored_is_no_id(store: EmbeddedStore) -> None:
    with pytest.raises(UnavailableError, match="could not be stored"):
        await installation_owner(Other(store, lost=True))
