"""One API server for all tests of a process. A test may kill it, if it runs again at the test's end."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.kube.world import World, define, world_on
from tests.rigs.kubernetes import KubernetesRig


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[KubernetesRig]:
    with KubernetesRig() as rig:
        yield rig


@pytest.fixture
def namespace(kubernetes: KubernetesRig) -> str:
    """A namespace of the test's own."""
    return kubernetes.namespace()


@pytest.fixture(scope="session")
def resources(kubernetes: KubernetesRig) -> None:
    """The custom resources' definitions."""
    define(kubernetes)


@pytest.fixture
async def world(
    kubernetes: KubernetesRig, resources: None, namespace: str, tmp_path: Path
) -> AsyncIterator[World]:
    """An installation that leads and publishes; the test runs its controller."""
    async with world_on(kubernetes, tmp_path, namespace) as world:
        yield world
        world.clear()
