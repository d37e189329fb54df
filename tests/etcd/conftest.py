"""Clusters and clients. A cluster serves a module: its tests use prefixes of their own."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from ddnsd.etcd import EtcdClient
from tests.rigs.etcd import EtcdRig, Version, versions


@pytest.fixture(scope="module", params=versions(), ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> Version:
    """Each etcd that is there."""
    found: Version = request.param
    return found


@pytest.fixture(scope="module")
def etcd(version: Version) -> Iterator[EtcdRig]:
    """One member, for tests that leave it as it was."""
    with EtcdRig(version) as rig:
        yield rig


@pytest.fixture
def cluster(version: Version) -> Iterator[EtcdRig]:
    """Three members, for one test that breaks them."""
    with EtcdRig(version, members=3) as rig:
        yield rig


@pytest_asyncio.fixture
async def client(etcd: EtcdRig) -> AsyncIterator[EtcdClient]:
    async with EtcdClient(etcd.settings) as client:
        yield client


@pytest_asyncio.fixture
async def cluster_client(cluster: EtcdRig) -> AsyncIterator[EtcdClient]:
    async with EtcdClient(cluster.settings) as client:
        yield client
