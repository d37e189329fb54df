"""A cluster for each test that asks for one; every day on Debian's etcd, in full on each that is there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rigs.etcd import versions
from tests.share import FULL_SHARE
from tests.system.cluster import Cluster


@pytest.fixture(params=versions() if FULL_SHARE else versions()[:1], ids=lambda version: version.name)
async def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path, request.param) as cluster:
        yield cluster
