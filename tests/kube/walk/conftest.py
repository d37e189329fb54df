"""A cluster for each test: a walk changes everything in it."""

from collections.abc import Iterator

import pytest
import yaml

from tests.rigs.kubernetes.cluster import Cluster
from tests.rigs.kubernetes.helm import CHART
from tests.rigs.kubernetes.kubelet.images import etcd_folder
from tests.rigs.kubernetes.programs import helm_program


@pytest.fixture(scope="session")
def programs() -> None:
    """Skip, where one is missing, before anything is started."""
    helm_program()
    version = yaml.safe_load((CHART / "values.yaml").read_text())["etcd"]["image"]["tag"].removeprefix("v")
    if not etcd_folder(version).exists():
        pytest.skip(f"etcd {version} is missing: script/install-etcd")


@pytest.fixture
def cluster(programs: None) -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster
