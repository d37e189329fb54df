"""An etcd member (https://etcd.io/docs/v3.4/op-guide/configuration/)."""

import yaml

from parts.layout import ADDRESS, SIZE, Layout
from parts.part import Part, fetch


class Member(Part):
    """An etcd member."""

    def __init__(self, layout: Layout, number: int) -> None:
        clients, peers = layout.ports(number, 3, 4)
        super().__init__(layout, f"etcd{number}", (clients, peers))
        self.url = f"http://{ADDRESS}:{clients}"
        self.peer_url = f"http://{ADDRESS}:{peers}"

    def prepare(self) -> None:
        cluster = ",".join(f"{member.name}={member.peer_url}" for member in members(self.layout))
        configuration = {
            "name": self.name,
            "data-dir": str(self.folder / "data"),
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": cluster,
        }
        (self.folder / "etcd.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False))

    def command(self) -> list[str]:
        return ["etcd", "--config-file", str(self.folder / "etcd.yaml")]

    async def is_ready(self) -> bool:
        return bool(await fetch(f"{self.url}/health"))


def members(layout: Layout) -> list[Member]:
    """Return all etcd members."""
    return [Member(layout, number) for number in range(1, SIZE + 1)]
