"""Tokens and authorities, and their rotation."""

import gc
import secrets
from dataclasses import replace

import pytest

from ddnsd.kube.api import ApiClient, ApiRefusedError, ApiSettings, ApiUnavailableError, in_cluster_server
from tests.kube.api.lamps import Lamps
from tests.rigs.certificates import Certificates
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder, ServiceAccount


async def test_a_rotated_token_is_used_at_once(
    client: ApiClient,
    kubernetes: KubernetesRig,
    mounted: ProjectedFolder,
    account: ServiceAccount,
    lamps: Lamps,
) -> None:
    kubernetes.mount(mounted, "over")
    with pytest.raises(ApiRefusedError, match="401 Unauthorized"):
        await client.list(lamps.selection)
    kubernetes.mount(mounted, kubernetes.new_token(account.namespace, account.name))
    await client.list(lamps.selection)


async def test_no_error_shows_the_token(
    client: ApiClient, kubernetes: KubernetesRig, mounted: ProjectedFolder, lamps: Lamps
) -> None:
    token = secrets.token_urlsafe(20)
    kubernetes.mount(mounted, token)
    with pytest.raises(ApiRefusedError, match="401 Unauthorized") as failed:
        await client.list(lamps.selection)
    assert token not in repr(failed.value) + str(failed.value)


@pytest.mark.parametrize("broken", ["one\ntwo", "one\rtwo", "ünicode"], ids=ascii)
async def test_a_token_that_is_none_is_named_and_not_shown(
    client: ApiClient,
    kubernetes: KubernetesRig,
    mounted: ProjectedFolder,
    lamps: Lamps,
    broken: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kubernetes.mount(mounted, broken)
    with pytest.raises(ApiUnavailableError, match="token: not one line") as failed:
        await client.list(lamps.selection)
    gc.collect()  # the failure of a task that nobody waited for is logged then
    assert "two" not in str(failed.value) + caplog.text


async def test_a_server_of_another_authority_is_not_talked_to_until_the_file_is_right(
    client: ApiClient,
    kubernetes: KubernetesRig,
    mounted: ProjectedFolder,
    account: ServiceAccount,
    lamps: Lamps,
) -> None:
    other = Certificates(mounted.path.parent / "other")
    mounted.write({"token": account.token, "ca.crt": (other.folder / "ca.pem").read_text(), "namespace": ""})
    with pytest.raises(ApiUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await client.list(lamps.selection)
    kubernetes.mount(mounted, account.token)
    await client.list(lamps.selection)


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
async def test_a_missing_file_is_named(
    client: ApiClient, mounted: ProjectedFolder, lamps: Lamps, missing: str
) -> None:
    files = {name: (mounted.path / name).read_text() for name in ("token", "ca.crt")}
    mounted.write({name: text for name, text in files.items() if name != missing})
    with pytest.raises(ApiUnavailableError, match=f"{missing}: No such file"):
        await client.list(lamps.selection)


async def test_an_authority_that_is_none_is_named(
    client: ApiClient, mounted: ProjectedFolder, lamps: Lamps
) -> None:
    mounted.write({"token": "t", "ca.crt": "nothing", "namespace": ""})
    with pytest.raises(ApiUnavailableError, match=r"ca\.crt"):
        await client.list(lamps.selection)


@pytest.mark.parametrize(
    "server",
    ["http://127.0.0.1", "https://", "https://user:password@host", "https://host/path", "host:6443"],
)
def test_a_url_that_is_none_is_refused_and_not_shown(settings: ApiSettings, server: str) -> None:
    with pytest.raises(ValueError, match=r"^the API server's URL: write https://host") as failed:
        replace(settings, server=server)
    assert "password" not in str(failed.value)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "https://10.0.0.1:443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, "https://[fd00::1]:6443"),
    ],
)
def test_a_pod_finds_the_server_in_its_environment(environ: dict[str, str], url: str) -> None:
    assert in_cluster_server(environ) == url


def test_outside_of_a_pod_the_server_is_missing() -> None:
    with pytest.raises(ValueError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster_server({})
