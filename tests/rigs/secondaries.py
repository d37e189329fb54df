"""A hidden primary, and secondaries that follow it: NOTIFY (RFC 1996), then IXFR (RFC 1995) or AXFR.

They share the primary's key. What a secondary does when it hears nothing is shortened (`REFRESH`), as a
test cannot wait for an hour.
"""

from collections.abc import Sequence

from .base import NameserverRig
from .bind import BindRig
from .knot import KnotRig, Role
from .place import Place

REFRESH = 5  # seconds between a secondary's own questions; docs/multi-region.md has what to use


class HiddenPrimary(BindRig):
    """BIND that tells its secondaries of each change."""

    secondaries: Sequence[NameserverRig] = ()

    def role(self, keys: str) -> str:
        key = f'key "{self.key_name}"'
        notified = " ".join(f"{each.address} port {each.port} {key};" for each in self.secondaries)
        return (
            f"{super().role(keys)} notify explicit; notify-source {self.address}; notify-delay 1; "
            f"also-notify {{ {notified} }};"
        )


class BindSecondary(BindRig):
    """BIND that follows a primary."""

    def __init__(self, primary: NameserverRig, place: Place) -> None:
        super().__init__(primary.zones, place=place)
        self.key_secret = primary.key_secret
        self._primary = primary

    def prepare(self) -> None:
        (self.folder / "named.conf").write_text(self._configuration())

    def role(self, keys: str) -> str:
        primary = self._primary
        return (
            f"type secondary; primaries {{ {primary.address} port {primary.port} {keys} }}; "
            f"allow-notify {{ {keys} }}; transfer-source {self.address}; masterfile-format text; "
            f"min-refresh-time 1; max-refresh-time {REFRESH}; min-retry-time 1; max-retry-time {REFRESH};"
        )


class KnotSecondary(KnotRig):
    """Knot that follows a primary."""

    def __init__(self, primary: NameserverRig, place: Place) -> None:
        super().__init__(primary.zones, place=place)
        self.key_secret = primary.key_secret
        self._primary = primary

    def prepare(self) -> None:
        (self.folder / "db").mkdir(exist_ok=True)
        (self.folder / "knot.conf").write_text(self._configuration())

    def role(self) -> Role:
        address = f"{self._primary.address}@{self._primary.port}"
        remote = f"remote:\n  - id: primary\n    address: {address}\n    key: {self.key_name}\n"
        template = (
            f"    master: primary\n    zonefile-load: none\n"
            f"    refresh-max-interval: {REFRESH}\n    retry-max-interval: {REFRESH}"
        )
        return Role(remote, template, actions="transfer, notify")
