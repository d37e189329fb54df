"""What the chart renders, of its examples and of any values: valid, restricted, whole, and read by ddnsd."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

from ddnsd.config import load
from ddnsd.config.loader import SETTINGS, load_yaml
from tests.chart.helm import (
    CHART,
    EXAMPLES,
    MAJORS,
    Document,
    Values,
    config,
    example,
    one,
    pods,
    render,
    run,
)
from tests.chart.restricted import unrestricted
from tests.chart.rules import VERSIONS, dangling, violations
from tests.chart.secret_files import SecretFiles
from tests.chart.value_sets import value_sets

ALL = [pytest.param({}, id="defaults")]
ALL += [pytest.param(yaml.safe_load(path.read_text()), id=path.stem) for path in EXAMPLES]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> SecretFiles:
    return SecretFiles(tmp_path_factory.mktemp("secrets"))


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("values", ALL)
def test_it_passes_lint(major: str, values: Values) -> None:
    run("lint", "--strict", str(CHART), values=values, major=major)


@pytest.mark.parametrize("values", ALL)
def test_helm_3_renders_the_same(values: Values) -> None:
    assert sorted(map(json.dumps, render(values, major="3"))) == sorted(map(json.dumps, render(values)))


@pytest.mark.parametrize("values", ALL)
def test_each_version_of_kubernetes_takes_it(values: Values) -> None:
    documents = render(values)
    for version in VERSIONS:
        assert [each for document in documents for each in violations(document, version)] == []


def test_the_newest_kubernetes_is_among_these() -> None:
    assert len(VERSIONS) >= 8


@pytest.mark.parametrize("values", ALL)
def test_ddnsd_takes_its_configuration(values: Values, secrets: SecretFiles, tmp_path: Path) -> None:
    done = secrets.check(config(render(values)), tmp_path / "config.yaml")
    assert done.returncode == 0, done.stderr


# Without shrinking, as each attempt is a run of helm.
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(values=value_sets())
def test_any_values(values: dict[str, Any], secrets: SecretFiles, tmp_path: Path) -> None:
    documents = render(values)
    assert [each for document in documents for each in violations(document, VERSIONS[-1])] == []
    assert [each for pod in pods(documents) for each in unrestricted(pod)] == []
    assert list(dangling(documents)) == []
    (tmp_path / "config.yaml").write_text(json.dumps(secrets.placed(config(documents))))
    load(tmp_path / "config.yaml", {})


@pytest.mark.parametrize("values", ALL)
def test_pods_are_restricted_and_whole(values: Values) -> None:
    documents = [each for each in render(values) if each["metadata"]["name"] != "ddnsd-note"]
    assert [each for pod in pods(documents) for each in unrestricted(pod)] == []
    assert list(dangling(documents)) == []


@pytest.mark.parametrize(
    "word",
    ["on", "yes", "y", "N", "null", "~", "12:30", "010", "1e3", "0x1f", "a: b", "#", "2026-01-01"],
)
def test_words_that_yaml_takes_for_something_else_stay_words(word: str) -> None:
    text = one(render({"config": {"node": {"region": word}}}), "ConfigMap")["data"]["config.yaml"]
    errors: list[object] = []
    (read,) = load_yaml(text, SETTINGS, lambda *error: errors.append(error))
    assert (read["node"], errors) == ({"region": word}, [])
    assert yaml.safe_load(text)["node"] == {"region": word}


def test_large_numbers_stay_numbers() -> None:
    etcd = {"endpoints": ["http://192.0.2.1:2379"], "quota": 1 << 40}
    values = {
        "mode": "cluster",
        "config": {
            "store": {"etcd": etcd},
            "nameservers": {"a": {"kind": "rfc2136", "address": "192.0.2.1"}},
        },
    }
    text = one(render(values), "ConfigMap")["data"]["config.yaml"]
    assert f"quota: {1 << 40}\n" in text


@pytest.mark.parametrize(
    ("config", "restarts"),
    [
        ({"log": {"level": "debug"}}, False),
        ({"publish": {"timeout": 8}}, False),
        ({"store": {"timeout": 9}}, False),
        ({"publish": {"fence": "_other"}}, True),
        ({"node": {"region": "eu"}}, True),
        ({"listen": {"public": ":9090"}}, True),
        ({"kube": {"source": "home"}}, True),
        ({"nameservers": {"default": {"kind": "embedded", "listen": ":5301"}}}, True),
        ({"nameservers": {"default": {"kind": "embedded", "server_name": "ns.example.com"}}}, True),
    ],
)
def test_pods_start_anew_for_what_ddnsd_reads_at_its_start_alone(config: Any, restarts: bool) -> None:
    configs: tuple[dict[str, Any], ...] = ({}, config)
    before, after = (checksum(one(render({"config": each}), "StatefulSet")) for each in configs)
    assert (before != after) == restarts


def test_what_the_controller_alone_reads_starts_no_node_anew() -> None:
    cluster = example("own-etcd")
    changed = {**cluster, "config": {**cluster["config"], "kube": {"source": "home"}}}
    for name, restarts in (("ddnsd", False), ("ddnsd-controller", True)):
        before, after = (checksum(one(render(values), "Deployment", name)) for values in (cluster, changed))
        assert (before != after) == restarts


def checksum(workload: Document) -> str:
    return str(workload["spec"]["template"]["metadata"]["annotations"]["checksum/config"])


def test_a_new_chart_alone_starts_no_pod_anew() -> None:
    for values in ({}, example("everything")):
        for pod in pods(render(values)):
            labels = pod["metadata"]["labels"]
            assert (
                pod.get("kind") == "Pod" or not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()
            )


def test_an_image_is_named_by_tag_or_digest_in_the_registry_of_choice() -> None:
    images = {
        pod["spec"]["containers"][0]["image"]
        for values in (
            {},
            {"image": {"registry": "r.example.com", "tag": "v2"}},
            {"global": {"imageRegistry": "g.example.com"}, "image": {"digest": f"sha256:{'0' * 64}"}},
        )
        for pod in pods(render(values))
    }
    assert images == {"ddnsd:0.1.0", "r.example.com/ddnsd:v2", f"g.example.com/ddnsd@sha256:{'0' * 64}"}
