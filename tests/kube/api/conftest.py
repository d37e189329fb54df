"""Lamps, and a client with the rights of a ServiceAccount that may do all with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.kube.api import ApiClient, ApiSettings
from tests.kube.api.lamps import Lamps
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder, ServiceAccount


@pytest.fixture(scope="session")
def group(kubernetes: KubernetesRig) -> str:
    """The group of a CRD that stays."""
    return Lamps(kubernetes, "").resource.group


@pytest.fixture
def lamps(kubernetes: KubernetesRig, namespace: str, group: str) -> Lamps:
    """The lamps of a namespace of the test's own."""
    return Lamps(kubernetes, namespace, group)


@pytest.fixture
def account(kubernetes: KubernetesRig, namespace: str) -> ServiceAccount:
    """A ServiceAccount that may do all with lamps and ConfigMaps, and nothing else."""
    account = kubernetes.service_account(namespace)
    rule = {"apiGroups": ["*"], "resources": ["lamps", "lamps/status", "configmaps"], "verbs": ["*"]}
    kubernetes.allow(account, rule)
    return account


@pytest.fixture
def mounted(kubernetes: KubernetesRig, account: ServiceAccount, tmp_path: Path) -> ProjectedFolder:
    """The account's credentials, as its pod finds them."""
    folder = ProjectedFolder(tmp_path / "serviceaccount")
    kubernetes.mount(folder, account.token, account.namespace)
    return folder


@pytest.fixture
def settings(kubernetes: KubernetesRig, mounted: ProjectedFolder) -> ApiSettings:
    return ApiSettings(kubernetes.url, mounted.path, watch_timeout=3)  # short: a test waits for its end


@pytest.fixture
async def client(settings: ApiSettings) -> AsyncIterator[ApiClient]:
    async with ApiClient(settings) as client:
        yield client
