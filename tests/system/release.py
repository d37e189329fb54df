"""The configuration of a region's release, rendered by Helm of its example values.

Over these go only the rig's own addresses, ports, keys and folders, and that etcd is spoken to without TLS
and a password.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chart import helm
from tests.rigs.base import NameserverRig
from tests.rigs.etcd import Member
from tests.rigs.place import Place

_PORTS = {"public": 8080, "admin": 8081, "health": 8082}


class Release:
    """One region's."""

    def __init__(
        self, region: str, folder: Path, place: Place, members: Mapping[str, Sequence[Member]]
    ) -> None:
        """`folder` is for its files; `members` are etcd's, by their regions."""
        self._example = f"region-{region}"
        self._key = folder / "ddnsd.key"
        endpoints = helm.example(self._example)["externalEtcd"]["endpoints"]
        self._config = {
            "listen": {name: f"{place.address}:{port}" for name, port in _PORTS.items()},
            "addresses": {"private": "accept"},  # of the load
            "admin": {"token_file": str(folder / "data" / "admin-token")},
        }
        self._values = {
            "admin": {"existingSecret": "ddnsd-admin", "service": {"enabled": True}},
            "externalEtcd": {
                "endpoints": [_url(endpoint, members) for endpoint in endpoints],
                "auth": {"user": ""},
                "tls": {"existingSecret": ""},
            },
        }

    def render(self, primary: NameserverRig, **config: Any) -> dict[str, Any]:
        """Return config.yaml for this primary, with more of `config` in the values."""
        self._key.touch(mode=0o600)
        self._key.write_text(primary.secret_text)
        key = {"name": primary.key_name, "algorithm": primary.key_algorithm, "secret_file": str(self._key)}
        nameserver = {"address": primary.address, "port": primary.port, "key": key}
        config |= self._config | {"nameservers": {"default": nameserver}}
        example = helm.CHART / "examples" / f"{self._example}.yaml"
        command = ("template", "ddnsd", str(helm.CHART), "--values", str(example))
        return helm.config(helm.load(helm.run(*command, values=self._values | {"config": config})))


def _url(endpoint: str, members: Mapping[str, Sequence[Member]]) -> str:
    """Return the rig's address of the member that an example's address stands for."""
    found = re.search(r"//etcd-(.*)-(\d)\.", endpoint)
    assert found, endpoint
    return members[found[1]][int(found[2]) - 1].url
