"""The chart's own etcd, run as real processes: it starts, and a member whose volume is lost is replaced."""

import re
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helm import CHART, config, example, one, render
from tests.chart.own_etcd import OwnEtcd
from tests.rigs.certificates import Certificates
from tests.waiting import wait_until

NEW = example("own-etcd")
TLS = {
    **NEW,
    "etcd": {"enabled": True, "tls": {"existingSecret": "etcd-tls"}},
    "networkPolicy": {"enabled": False},
}
EXISTING = {**NEW, "etcd": {"enabled": True, "initialClusterState": "existing"}}
LOST = "ddnsd-etcd-1"
LEFT = "ddnsd-etcd-0"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[OwnEtcd]:
    documents = render(NEW)
    with OwnEtcd(documents, tmp_path) as etcd:
        for member in etcd.members:
            etcd.start(documents, member)
        for member in etcd.members:
            etcd.wait_until_ready(member)
        yield etcd


def test_a_member_whose_volume_is_lost_is_replaced_as_the_readme_says(etcd: OwnEtcd) -> None:
    ctl = etcd.ctl(LEFT)
    assert ctl.run("put", "a", "1").returncode == 0
    etcd.lose(LOST)
    lost = next(line.split(",")[0] for line in ctl.run("member", "list").stdout.splitlines() if LOST in line)
    assert ctl.run("member", "remove", lost).returncode == 0
    add(etcd)
    assert ctl.run("put", "b", "2").returncode == 0  # while the new one is not there yet

    etcd.start(render(EXISTING), LOST)
    etcd.wait_until_ready(LOST)

    everything = etcd.ctl(LOST).run("get", "", "--prefix", "--print-value-only", "--consistency=s")
    assert everything.stdout.split() == ["1", "2"]
    assert len(ctl.run("member", "list").stdout.splitlines()) == 3


def add(etcd: OwnEtcd) -> None:
    """Members have to have known each other for 5 seconds (etcd's HealthInterval) before one may be added."""
    peer = f"--peer-urls=http://{etcd.address(LOST, '2380')}"

    def is_added() -> bool:
        done = etcd.ctl(LEFT).run("member", "add", LOST, peer)
        assert not done.returncode or "unhealthy cluster" in done.stderr
        return not done.returncode

    wait_until(is_added, 30, "it is added")


def test_a_member_that_lost_its_volume_starts_no_cluster_of_its_own(etcd: OwnEtcd) -> None:
    etcd.lose(LOST)
    process = etcd.start(render(NEW), LOST)
    with pytest.raises(RuntimeError, match="has already been bootstrapped"):
        etcd.wait_until_ready(LOST)
    assert not process.running


def test_members_with_data_do_not_mind_what_the_state_says(etcd: OwnEtcd) -> None:
    etcd.stop(LOST)
    etcd.start(render(EXISTING), LOST)
    etcd.wait_until_ready(LOST)


def test_with_tls_only_who_has_a_certificate_is_let_in(tmp_path: Path) -> None:
    documents = render(TLS)
    certificates = Certificates(tmp_path / "tls")
    with OwnEtcd(documents, tmp_path, certificates) as etcd:
        for member in etcd.members:
            etcd.start(documents, member)
        for member in etcd.members:
            etcd.wait_until_ready(member)
        assert etcd.ctl(LEFT).run("put", "a", "1").returncode == 0
        there = etcd.ctl(LOST).run("get", "a", "--print-value-only")
        assert there.stdout.strip() == "1"
        authority = f"--cacert={certificates.folder / 'ca.pem'}"
        refused = etcd.ctl(LEFT, authority, "--command-timeout=2s").run("get", "a")
        assert refused.returncode != 0
        peer = ssl.create_default_context(cafile=str(certificates.folder / "ca.pem"))
        with pytest.raises(OSError, match=r"(?i)certificate"):
            urllib.request.urlopen(f"https://{etcd.address(LEFT, '2380')}/members", context=peer)


def test_with_tls_ddnsd_has_the_certificate_too(tmp_path: Path) -> None:
    documents = render(TLS)
    etcd = config(documents)["store"]["etcd"]
    assert {each.partition(":")[0] for each in etcd["endpoints"]} == {"https"}
    assert etcd["tls"] == {
        "ca": "/secrets/etcd-tls/ca.crt",
        "certificate": "/secrets/etcd-tls/tls.crt",
        "key": "/secrets/etcd-tls/tls.key",
    }
    volumes = one(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert "etcd-tls" in [each.get("secret", {}).get("secretName") for each in volumes]


def test_to_let_a_member_join_starts_no_pod_anew() -> None:
    before, after = render(NEW), render(EXISTING)
    for kind, name in (("StatefulSet", "ddnsd-etcd"), ("Deployment", "ddnsd")):
        assert one(before, kind, name) == one(after, kind, name)


def test_its_alerts_are_of_metrics_that_it_has(etcd: OwnEtcd) -> None:
    used = set(re.findall(r"\betcd_\w+", (CHART / "files" / "alerts-etcd.yaml").read_text()))
    metrics = set(re.findall(r"^(\w+)", etcd.metrics(LEFT), re.MULTILINE))
    assert used
    assert used <= metrics
