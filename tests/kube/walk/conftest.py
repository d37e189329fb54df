"""A cluster for each test: a walk changes everything in it."""

from collections.abc import Iterator

import pytest

from tests.rigs.kubernetes.cluster import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster
