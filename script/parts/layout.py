"""Where a local cluster is."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

ADDRESS = "127.0.0.1"
SIZE = 3  # nodes, and members
_PORT = 9000
_LAST_PORT = 65535 - 53


class LayoutError(Exception):
    """CLUSTER_PORT cannot be used; the message says why."""


class Layout(NamedTuple):
    """Where the cluster is: its folder, and the first of its block of ports."""

    data: Path
    port: int

    @classmethod
    def find(cls, root: Path, environ: Mapping[str, str]) -> Self:
        """Return that of the environment, or the one that was there before.

        Raises:
            LayoutError: it is not the one that was there before, or CLUSTER_PORT is no port.
        """
        data = Path(environ.get("CLUSTER_DATA") or root / "data" / "cluster").absolute()
        note = data / "port"
        before = note.read_text().strip() if note.exists() else ""
        wanted = environ.get("CLUSTER_PORT") or before or str(_PORT)
        if not wanted.isdecimal() or not 1 <= int(wanted) <= _LAST_PORT:
            raise LayoutError(f"CLUSTER_PORT={wanted}: write a port, {_LAST_PORT} at most")
        if before and wanted != before:  # the members know each other by their ports
            raise LayoutError(
                f"CLUSTER_PORT={wanted}: {data} was made with {before}: leave it out, or remove {data}"
            )
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_text(f"{wanted}\n")
        return cls(data, int(wanted))

    @property
    def secret_file(self) -> Path:
        """The TSIG key's secret, which BIND and the nodes share."""
        return self.data / "tsig.key"

    @property
    def admin_token_file(self) -> Path:
        """The admin token, which all nodes share; the first of them makes it."""
        return self.data / "admin-token"

    @property
    def token_file(self) -> Path:
        """The example's token, for updates."""
        return self.data / "example-token"

    @property
    def dns_port(self) -> int:
        return self.port + 53

    def ports(self, number: int, first: int, last: int) -> list[int]:
        """Return the ports of a node or a member for some of the roles: see the package's docstring."""
        return [self.port + 10 * number + role for role in range(first, last + 1)]
