"""What a Host's conditions say of a name that is somebody else's."""

import json

from ddnsd.kube.api import Object, ObjectMeta
from ddnsd.kube.objects import read_custom
from ddnsd.kube.translate import is_error, status_of
from ddnsd.kube.validation import ACCEPTED
from ddnsd.model.records import Entry, Published, PublishError, Resource
from ddnsd.model.resources import HostSpec, Kind, Origin
from ddnsd.model.taking import name_in_use
from tests.model.world import BLOG, NOW, small_world


def test_a_name_in_use_is_told_with_the_name_and_the_remedy() -> None:
    world, key = small_world(), f"hosts/{BLOG.name}"
    host = Resource(HostSpec("prod:home:alice"), origin=Origin("prod", "home"))
    world.state.hosts.put(BLOG.name, Entry(key, 1, 1, host))
    revision = world.commit(BLOG, "192.0.2.7")
    message = name_in_use(f"{BLOG.name} A", "example.com")
    error = PublishError(revision, message, NOW, "default")
    published = Published(0, "", 60, "default", error=error)
    world.state.published.put(BLOG, Entry("published", revision, revision, published))
    spec = json.dumps({"spec": {"account": "alice"}}).encode()
    custom = read_custom(Kind.HOST, Object(ObjectMeta(name=BLOG.name, namespace="home"), spec))
    status = status_of(custom, ACCEPTED, (), world.state, "prod", NOW)
    (condition,) = [each for each in status.conditions if each.type == "Published"]
    assert (condition.status, condition.reason) == ("False", "NameInUse")
    assert condition.message == f"A: {message}"
    assert "spec.adopt: true in Zone example.com" in condition.message
    assert is_error(status)
