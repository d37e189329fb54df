"""A node of ddnsd."""

from typing import Any

import yaml
from example import AdminApi, ddnsd

from parts.layout import ADDRESS, SIZE, Layout
from parts.member import members
from parts.part import Part, fetch

LEASE_TTL = 3  # seconds: how long a node that was killed still leads


class Node(Part):
    """A node of ddnsd."""

    def __init__(self, layout: Layout, number: int) -> None:
        super().__init__(layout, f"node{number}", layout.ports(number, 0, 2))
        self.public, admin, self.health = (f"http://{ADDRESS}:{port}" for port in self.ports)
        self.admin = AdminApi(admin, layout.admin_token_file)

    def prepare(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self._configuration(), sort_keys=False))

    def command(self) -> list[str]:
        return ddnsd("serve", "--config", str(self.folder / "config.yaml"))

    async def is_ready(self) -> bool:
        return bool(await fetch(f"{self.health}/readyz"))

    async def leads(self) -> bool:
        """Say whether it says that it leads."""
        return b"\nddnsd_leader 1.0\n" in await fetch(f"{self.health}/metrics")

    def _configuration(self) -> dict[str, Any]:
        listen = dict(zip(("public", "admin", "health"), self.ports, strict=True))
        endpoints = [member.url for member in members(self.layout)]
        key = {"name": "ddnsd", "secret_file": str(self.layout.secret_file)}
        nameserver = {"kind": "rfc2136", "address": ADDRESS, "port": self.layout.dns_port, "key": key}
        return {
            "node": {"name": self.name},
            "store": {"kind": "etcd", "etcd": {"endpoints": endpoints, "lease_ttl": LEASE_TTL}},
            "listen": {name: f"{ADDRESS}:{port}" for name, port in listen.items()},
            "admin": {"token_file": str(self.layout.admin_token_file)},
            "nameservers": {"default": nameserver},
        }


def nodes(layout: Layout) -> list[Node]:
    """Return all nodes."""
    return [Node(layout, number) for number in range(1, SIZE + 1)]
