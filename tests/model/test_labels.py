"""Hosts by their first label."""

import pytest

from ddnsd.model.authorization import in_full
from ddnsd.model.request import Request, UpdateRequest
from tests.model.world import World, read_all, small_world


@pytest.fixture
def world() -> World:
    world = small_world()
    world.zone("example.net")
    world.account("bob")
    world.host("nas.example.com")
    world.host("nas.example.net")
    world.host("deep.home.example.com")
    world.host("xn--bcher-kva.example.com")
    world.host("theirs.example.com", "bob")
    world.host("blog.example.net", "bob")
    world.token("few", "few", hosts=("nas.example.net", "theirs.example.com", "gone.example.com"))
    return world


def names(world: World, secret: str, *domains: str) -> list[str | None]:
    attempt = read_all(*(Request(domain, "192.0.2.7", secret, "", short=True) for domain in domains))
    assert isinstance(attempt, UpdateRequest)
    return [target.name for target in in_full(world.state, attempt).targets]


@pytest.mark.parametrize(
    ("secret", "label", "name"),
    [
        ("secret", "blog", "blog.example.com"),  # bob's blog.example.net is none of its hosts
        ("secret", "Blog", "blog.example.com"),
        ("secret", "blog.", "blog.example.com"),
        ("secret", "deep", "deep.home.example.com"),
        ("secret", "bücher", "xn--bcher-kva.example.com"),
        ("secret", "nas", None),  # which of the two?
        ("secret", "blo", None),
        ("secret", "example", None),
        ("secret", "theirs", None),
        ("secret", "a b", None),
        ("secret", "_a", None),
        ("few", "nas", "nas.example.net"),
        ("few", "blog", None),
        ("few", "theirs", None),
        ("few", "gone", None),
        ("unknown", "blog", None),
    ],
)
def test_a_label_stands_for_the_one_host_that_the_token_may_change(
    world: World, secret: str, label: str, name: str | None
) -> None:
    assert names(world, secret, label) == [name]


def test_full_names_stay_as_they_are(world: World) -> None:
    asked = ("nas.example.net", "blog", "theirs.example.com")
    assert names(world, "secret", *asked) == ["nas.example.net", "blog.example.com", "theirs.example.com"]
