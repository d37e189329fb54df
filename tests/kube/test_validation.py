"""What is validated of an object that no definition of ours has let in."""

import json
from typing import Any

import pytest

from ddnsd.kube.api import Object, ObjectMeta
from ddnsd.kube.objects import Custom, read_custom
from ddnsd.kube.translate import is_open_to, secret_of
from ddnsd.kube.validation import InvalidObject, SecretDigest, Validator
from ddnsd.model.resources import Kind
from ddnsd.model.state import State


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (Kind.HOST, "nonsense"),
        (Kind.ZONE, {"namespaces": "home"}),
        (Kind.ZONE, {"namespacePatterns": {"home": "*.home"}}),
        (Kind.TOKEN, {"account": "alice", "secretRef": {"key": "token"}}),
        (Kind.TOKEN, {"account": "alice", "secretRef": "mine"}),
        (Kind.ACCOUNT, {"status": 1}),
    ],
)
def test_what_cannot_be_read_is_there_and_invalid(kind: Kind, spec: Any) -> None:
    custom = custom_of(kind, "a.example", spec)
    assert_is_invalid(custom)
    assert secret_of(custom) is None


def test_a_wildcard_without_room_is_invalid() -> None:
    assert_is_invalid(custom_of(Kind.HOST, f"{'a.' * 125}bc", {"account": "alice", "wildcard": True}))


@pytest.mark.parametrize(
    ("host", "is_open"),
    [
        ("x.alice.example.com", True),
        ("y.x.alice.example.com", True),
        ("alice.example.com", False),
        ("malice.example.com", False),
        ("blog.example.com", True),
        ("x.blog.example.com", False),
    ],
)
def test_a_namespace_has_the_names_of_its_patterns(host: str, is_open: bool) -> None:
    spec = {"namespaces": ["office"], "namespacePatterns": {"home": ["*.alice", "blog"], "attic": ["*"]}}
    zone = custom_of(Kind.ZONE, "example.com", spec)
    assert is_open_to(zone, "home", host) is is_open
    assert is_open_to(zone, "attic", host)
    assert is_open_to(zone, "office", host)
    assert not is_open_to(zone, "cellar", host)


def custom_of(kind: Kind, name: str, spec: Any) -> Custom:
    object = Object(ObjectMeta(name=name, namespace="home"), json.dumps({"spec": spec}).encode())
    return read_custom(kind, object)


def assert_is_invalid(custom: Custom) -> None:
    validated = Validator("prod", frozenset()).validate(custom, State(), {}, lambda _: SecretDigest(""))
    assert isinstance(validated, InvalidObject)
    assert (validated.reason, validated.hold) == ("Invalid", "")
