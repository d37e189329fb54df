"""A hidden primary, and secondaries that follow it: NOTIFY (RFC 1996), then IXFR (RFC 1995) or AXFR.

They share the primary's key. How often a secondary asks by itself is shortened (`REFRESH`), as a test cannot
wait for an hour.
"""

import shutil
from collections.abc import Sequence

from tests.rigs.base import NameserverRig
from tests.rigs.bind import BindRig
from tests.rigs.knot import KnotRig, Role
from tests.rigs.place import Place

REFRESH = 5  # seconds between a secondary's own questions; docs/multi-region.md has what to use


class RegionalBind(BindRig):
    """BIND that follows a primary; without one it is the primary, and tells `followers` of each change."""

    def __init__(self, place: Place, primary: NameserverRig | None = None) -> None:
        super().__init__(place=place)
        self.primary = primary
        self.followers: Sequence[NameserverRig] = ()
        if primary is not None:
            self.key_secret = primary.key_secret

    def prepare(self) -> None:
        super().prepare()
        if self.primary is not None:
            self.forget()

    def forget(self) -> None:
        """Remove what it has of its zones."""
        self.kill()
        for zone in self.zones:
            for path in self.folder.glob(f"{zone}.zone*"):
                path.unlink()

    async def reconfigure(self) -> None:
        """Start it anew with what `primary` and `followers` are now, and the zones that it has."""
        (self.folder / "named.conf").write_text(self._configuration())
        await self.restart()

    def role(self, keys: str) -> str:
        if self.primary is None:
            notified = " ".join(f"{each.address} port {each.port} {keys}" for each in self.followers)
            return (
                f"{super().role(keys)} notify explicit; notify-source {self.address}; notify-delay 1; "
                f"also-notify {{ {notified} }};"
            )
        return (
            f"type secondary; primaries {{ {self.primary.address} port {self.primary.port} {keys} }}; "
            f"allow-notify {{ {keys} }}; transfer-source {self.address}; masterfile-format text; "
            f"min-refresh-time 1; max-refresh-time {REFRESH}; min-retry-time 1; max-retry-time {REFRESH};"
        )


class RegionalKnot(KnotRig):
    """Knot that follows a primary."""

    def __init__(self, place: Place, primary: NameserverRig) -> None:
        super().__init__(place=place)
        self.primary = primary
        self.key_secret = primary.key_secret

    async def reconfigure(self) -> None:
        """Start it anew with what `primary` is now."""
        (self.folder / "knot.conf").write_text(self._configuration())
        await self.restart()

    def forget(self) -> None:
        """Remove what it has of its zones."""
        self.kill()
        shutil.rmtree(self.folder / "db")
        (self.folder / "db").mkdir()

    def role(self) -> Role:
        address = f"{self.primary.address}@{self.primary.port}"
        remote = f"remote:\n  - id: primary\n    address: {address}\n    key: {self.key_name}\n"
        template = (
            "    master: primary\n    zonefile-load: none\n    journal-content: all\n"
            f"    refresh-max-interval: {REFRESH}\n    retry-max-interval: {REFRESH}"
        )
        return Role(remote, template, actions="transfer, notify")
