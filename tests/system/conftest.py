"""A cluster, or regions, for a test that asks; every day on Debian's etcd, in full on each that is there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rigs.etcd import Version, versions
from tests.share import FULL_SHARE
from tests.system.cluster import Cluster
from tests.system.regions import Regions


@pytest.fixture(params=versions() if FULL_SHARE else versions()[:1], ids=lambda version: version.name)
def etcd_version(request: pytest.FixtureRequest) -> Version:
    found: Version = request.param
    return found


@pytest.fixture
async def regions(etcd_version: Version, tmp_path: Path) -> AsyncIterator[Regions]:
    async with Regions(tmp_path, etcd_version) as regions:
        yield regions


@pytest.fixture
async def cluster(etcd_version: Version, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Cluster(tmp_path, etcd_version) as cluster:
        yield cluster
