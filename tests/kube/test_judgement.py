"""What is judged of an object that no definition of ours has let in."""

import json
from typing import Any

import pytest

from ddnsd.kube.api import Metadata, Object
from ddnsd.kube.judgement import Digest, Judge, Refused
from ddnsd.kube.objects import read_custom
from ddnsd.kube.translate import secret_of
from ddnsd.model.resources import Kind
from ddnsd.model.state import State


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (Kind.HOST, "nonsense"),
        (Kind.ZONE, {"namespaces": "home"}),
        (Kind.TOKEN, {"account": "alice", "secretRef": {"key": "token"}}),
        (Kind.TOKEN, {"account": "alice", "secretRef": "mine"}),
        (Kind.ACCOUNT, {"status": 1}),
    ],
)
def test_what_cannot_be_read_is_there_and_invalid(kind: Kind, spec: Any) -> None:
    object = Object(Metadata(name="a.example", namespace="home"), json.dumps({"spec": spec}).encode())
    custom = read_custom(kind, object)
    judged = Judge("prod", frozenset()).judge(custom, State(), {}, lambda _: Digest(""))
    assert isinstance(judged, Refused)
    assert (judged.reason, judged.hold) == ("Invalid", "")
    assert secret_of(custom) is None
