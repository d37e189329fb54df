"""A node whose config.yaml is a mounted ConfigMap, and how a change of it is waited for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.rigs.base import NameserverRig
from tests.rigs.volume import Volume
from tests.system.installation import Installation
from tests.waiting import until

SECONDS = 6.0  # in which a change is taken over, on a busy machine


class Mounted(Installation):
    """Writes `config` as kubelet does. The data lie elsewhere."""

    def __init__(self, folder: Path, rig: NameserverRig | None = None, **settings: Any) -> None:
        self.volume = Volume(folder / "configuration")
        super().__init__(folder, rig, data=str(folder / "data"), **settings)

    @property
    def config_path(self) -> Path:
        return self.volume / "config.yaml"

    def write_config(self) -> None:
        self.write_text(yaml.safe_dump(self.config, allow_unicode=True))

    def write_text(self, text: str) -> None:
        """Have this text as config.yaml."""
        self.volume.write({"config.yaml": text})

    async def status(self) -> dict[str, Any]:
        return (await self.admin("GET", "status")).json


@asynccontextmanager
async def noticed(ddnsd: Installation, event: str = "config.applied", times: int = 1) -> AsyncIterator[None]:
    """Wait, after the block, until what it has changed was noticed: applied, or refused."""
    before = len(ddnsd.events(event))

    async def is_noticed() -> bool:
        return len(ddnsd.events(event)) >= before + times

    yield
    await until(is_noticed, SECONDS, event)
