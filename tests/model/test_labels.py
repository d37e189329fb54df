"""Hosts by their first label."""

import pytest

from ddnsd.model.labels import is_bare, resolve
from ddnsd.model.tokens import digest
from tests.model.world import World, small_world


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
        ("secret", "", None),
        ("secret", "a b", None),
        ("secret", "blog.example.com", None),
        ("few", "nas", "nas.example.net"),
        ("few", "blog", None),
        ("few", "theirs", None),
        ("few", "gone", None),
        ("unknown", "blog", None),
    ],
)
def test_a_label_stands_for_the_one_host_that_the_token_may_change(world, secret, label, name):
    assert resolve(world.state, digest(secret), label) == name


@pytest.mark.parametrize(
    ("text", "bare"),
    [("blog", True), ("Blog.", True), ("bücher", True), ("a.b", False), ("", False), ("_a", False)],
)
def test_a_bare_label(text, bare):
    assert is_bare(text) is bare
