"""BIND as a release publishes to it."""

from base64 import b64encode
from typing import Any

from tests.kube.walk.release import Release
from tests.rigs import BindRig


def nameserver(bind: BindRig) -> dict[str, Any]:
    """Return its section of config.yaml; the key is in the Secret `tsig`."""
    return {
        "kind": "rfc2136",
        "address": bind.address,
        "port": bind.port,
        "key": {"secret_file": "/secrets/tsig/key"},
    }


def write_key(release: Release, name: str, secret: bytes) -> None:
    """Put a key into the Secret, as tsig-keygen prints it."""
    text = f'key "{name}" {{ algorithm hmac-sha256; secret "{b64encode(secret).decode()}"; }};\n'
    release.write_secret("tsig", key=text)
