"""Versions of etcd with known defects. Sources: etcd's CHANGELOG and security advisories."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from ddnsd.store.interface import Problem

_RECOMMENDED = "upgrade to the newest 3.5 or 3.6, 3.5.13 at least"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-.*)?")


class Version(NamedTuple):
    """A release of etcd."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Return the release that a member names; None if that is none."""
        match = _VERSION.fullmatch(text)
        return cls(*map(int, match.groups())) if match else None


def defects(text: str, *, roles: bool) -> Iterator[Problem]:
    """Yield what is wrong with a release. `roles`: etcd's own users are used."""
    version = Version.parse(text)
    if version is None:
        return
    if Version(3, 5, 0) <= version <= Version(3, 5, 2):  # CHANGELOG-3.5, v3.5.3: data inconsistency
        yield Problem(f"etcd {text} can lose data when it is killed", _RECOMMENDED)
    elif version < Version(3, 5, 13):
        yield Problem(f"etcd {text} has defects that are repaired in newer ones", _RECOMMENDED)
    if roles and not _checks_nested(version):
        yield Problem(
            f"etcd {text} does not check nested transactions against roles (CVE-2026-33343): "
            "each of its users can read and write all keys",
            "upgrade to 3.4.42, 3.5.28 or 3.6.9 at least; until then let nobody else reach it",
        )


def _checks_nested(version: Version) -> bool:
    """Say whether GHSA-rfx7-8w68-q57q is repaired."""
    repaired = {(3, 4): 42, (3, 5): 28, (3, 6): 9}
    return version.patch >= repaired.get(version[:2], 0) and version >= Version(3, 4, 0)
