"""What `ddnsd status` says of the nodes' configurations."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ddnsd.app.status import configuration_warnings
from ddnsd.model.records import Configured, Member
from tests.leader.node import member

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)


def node(name: str, version: str = "1", **said: Any) -> Member:
    configured = Configured(**{"since": LONG_AGO, "digests": {"publish": "a"}, **said})
    return msgspec.structs.replace(member([]), name=name, version=version, configuration=configured)


def warnings(*members: Member) -> list[str]:
    return list(configuration_warnings(members, NOW))


def test_all_is_well() -> None:
    assert warnings(node("one"), node("two"), member([])) == []


def test_what_was_refused_and_what_waits() -> None:
    refused, waits = warnings(
        node("one", refused="log.level: 'loud': write …"), node("two", waiting=("data",))
    )
    assert refused.startswith("one goes on with the configuration it had")
    assert refused.endswith("log.level: 'loud': write …")
    assert waits == "two needs a restart to take over data"


def test_a_difference_that_lasts() -> None:
    other: dict[str, Any] = {"digests": {"publish": "b"}}
    (warning,) = warnings(node("one"), node("three", **other), node("two"))
    assert warning == "`publish` is not the same in the config.yaml of one, two and three"
    assert warnings(node("one"), node("two", **other, since=NOW - timedelta(seconds=90))) == []
    assert warnings(node("one"), node("two", **other, version="2")) == []
