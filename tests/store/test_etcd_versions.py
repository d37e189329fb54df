import pytest

from ddnsd.store.etcd.health import Version, defects


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("3.4.23", "repaired in newer"),
        ("3.5.0", "lose data"),
        ("3.5.2", "lose data"),
        ("3.5.3", "repaired in newer"),
        ("3.5.12", "repaired in newer"),
        ("3.5.13", None),
        ("3.6.0-rc.1", None),
        ("3.10.0", None),
        ("none", None),
    ],
)
def test_defects_of_a_version(version: str, words: str | None) -> None:
    found = [problem.text for problem in defects(version, roles=False)]
    assert [str(words) in text for text in found] == ([True] if words else [])


@pytest.mark.parametrize(
    ("version", "checked"),
    [
        *(("3.3.27", False), ("3.4.41", False), ("3.4.42", True), ("3.5.27", False), ("3.5.28", True)),
        *(("3.6.8", False), ("3.6.9", True), ("3.6.16", True), ("3.7.0", True), ("4.0.0", True)),
    ],
)
def test_roles_and_nested_transactions(version: str, checked: bool) -> None:
    told = any("CVE-2026-33343" in problem.text for problem in defects(version, roles=True))
    assert told is not checked


def test_versions_are_in_order() -> None:
    assert Version(3, 4, 99) < Version(3, 5, 0) < Version(3, 5, 13) < Version(3, 6, 0)
    assert Version.parse("3.5.13") == Version(3, 5, 13)
