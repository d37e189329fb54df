"""Without Helm: what k8s/README.md says, for one pod."""

import pytest

from tests.kube.walk.release import EXAMPLES, K8S, NAMESPACE, Release, until
from tests.rigs.kubernetes.cluster import Cluster


@pytest.mark.timeout(200)
def test_from_apply_to_an_answer(cluster: Cluster) -> None:
    release = Release(cluster, NAMESPACE)
    cluster.volume()
    cluster.kubectl("apply", "--server-side", "-k", str(K8S / "crds"))
    cluster.kubectl("apply", "-k", str(K8S / "overlays" / "single"))
    cluster.kubectl("apply", "-f", str(EXAMPLES))
    release.kubectl("rollout", "status", "statefulset/ddnsd", "--timeout=60s")
    secret = release.secret()
    until(lambda: release.update(secret, "192.0.2.7").status, 200, "an update")
    assert release.dig() == "192.0.2.7"
    until(lambda: "192.0.2.7" in release.kubectl("get", "hosts"), True, "kubectl get hosts shows it")
