"""The definitions of the custom resources: the admin API's types, and only additions over time."""

import json
import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.kube.crd import EXTRA, SUBNET, SUFFIX
from ddnsd.model.resources import Kind
from ddnsd.service.documents import parse_subnet, parse_suffix
from ddnsd.web.admin.handlers import ROUTES
from ddnsd.web.admin.openapi import describe

CRDS = Path(__file__).parents[2] / "charts" / "ddnsd" / "files" / "crds"
GOLDEN = Path(__file__).parent / "golden" / "v1alpha1.json"
FACTS = ("type", "format", "pattern", "minimum", "maximum", "minLength", "minItems", "default", "description")


def schema(kind: Kind) -> dict[str, Any]:
    """Return the schema that is installed."""
    (version,) = yaml.safe_load((CRDS / f"{kind.plural}.yaml").read_text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return found


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """The schemas that the admin API serves."""
    found: dict[str, Any] = json.loads(json.dumps(describe(ROUTES)))["components"]["schemas"]
    return found


@pytest.mark.parametrize("kind", Kind)
def test_a_spec_is_the_admin_apis(kind: Kind, documented: dict[str, Any]) -> None:
    ours, theirs = schema(kind)["spec"], documented[f"{kind}Spec"]
    assert ours["properties"].keys() == theirs["properties"].keys() | EXTRA[kind].keys()
    for name, field in theirs["properties"].items():
        assert facts(ours["properties"][name], {}) == facts(field, documented), name
    required = set(theirs.get("required", ())) - {"sha256"}
    assert set(ours.get("required", ())) == required


def test_these_fields_are_kubernetes_own() -> None:
    own = [f"{kind}.{name}" for kind, fields in EXTRA.items() for name in fields]
    assert own == ["Zone.namespaces", "Zone.namespacePatterns", "Token.secretRef"]


@pytest.mark.parametrize("family", ["A", "AAAA"])
def test_a_hosts_addresses_are_told_as_by_the_admin_api(family: str, documented: dict[str, Any]) -> None:
    ours = schema(Kind.HOST)["status"]["properties"][family]["properties"]
    assert ours.keys() == documented["RecordStatus"]["properties"].keys()


@pytest.mark.parametrize("kind", Kind)
def test_kubectl_explains_every_field(kind: Kind) -> None:
    for part in ("spec", "status"):
        assert list(unexplained(schema(kind)[part], part)) == []


def unexplained(field: dict[str, Any], path: str) -> Iterator[str]:
    if "description" not in field and "[]" not in path.rpartition(".")[2]:
        yield path
    for name, each in field.get("properties", {}).items():
        yield from unexplained(each, f"{path}.{name}")
    if "items" in field:
        yield from unexplained(field["items"], f"{path}.[]")


def test_v1alpha1_changes_only_by_additions() -> None:
    """What users have stored stays valid: tests/kube/golden has the fields of the first release."""
    golden = json.loads(GOLDEN.read_text())
    now = {kind.value: dict(fields(schema(kind))) for kind in Kind}
    for kind, paths in golden.items():
        for path, said in paths.items():
            assert now[kind].get(path) == said, f"{kind} {path}"
        new = now[kind].keys() - paths.keys()
        assert not [path for path in new if now[kind][path]["required"] and path.count(".") == 1], kind


@given(st.from_regex(SUFFIX, fullmatch=True))
def test_an_interface_identifier_that_the_api_server_takes_is_one(text: str) -> None:
    if re.search("[1-9a-fA-F]", text):
        assert re.fullmatch(SUFFIX, parse_suffix(text))


@given(st.integers(1, 2**64 - 1).map(IPv6Address))
def test_the_api_server_takes_every_interface_identifier(address: IPv6Address) -> None:
    assert re.fullmatch(SUFFIX, str(address))
    assert re.fullmatch(SUFFIX, address.exploded)


@given(st.integers(1, 2**128 - 1).map(IPv6Address))
def test_the_api_server_takes_no_more_than_an_interface_identifier(address: IPv6Address) -> None:
    assert bool(re.fullmatch(SUFFIX, address.exploded)) == (int(address) < 2**64)


@given(st.from_regex(SUBNET, fullmatch=True))
def test_a_subnet_that_the_api_server_takes_is_one(text: str) -> None:
    assert re.fullmatch(SUBNET, parse_subnet(text))


def fields(
    properties: dict[str, Any], path: str = "", required: tuple[Any, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield each field's path, type, words and whether it is required."""
    for name, field in properties.items():
        here = f"{path}.{name}" if path else name
        words = sorted(field.get("enum", ()))
        yield here, {"type": field["type"], "enum": words, "required": name in required}
        inner = field.get("items", field)
        yield from fields(inner.get("properties", {}), here, tuple(inner.get("required", ())))


def facts(field: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema says of a value that is there."""
    if "$ref" in field:
        return facts(components[field["$ref"].rpartition("/")[2]], components) | without(field, "$ref")
    if "anyOf" in field:
        (present,) = (option for option in field["anyOf"] if option != {"type": "null"})
        return facts(present, components)
    said = {name: field[name] for name in FACTS if field.get(name) is not None}
    if "enum" in field:
        said |= {"enum": sorted(field["enum"]), "type": "string"}
    if "items" in field:
        said["items"] = facts(field["items"], components)
    return said


def without(field: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in field.items() if name in FACTS and name not in names}
