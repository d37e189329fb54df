"""What many tests of the leader need."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """An embedded store of the test's own. It is closed also where the test fails."""
    store = await open_embedded(tmp_path / "store")
    yield store
    await store.close()
