"""The files that the pods' Secrets would be, in a folder of the test's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chart.helm import Document
from tests.rigs.certificates import Certificates

KEY = 'key "ddnsd" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"; };\n'


class SecretFiles:
    """The Secrets that the examples name, by NAME/KEY as in the pod below /secrets."""

    def __init__(self, folder: Path) -> None:
        certificates = Certificates(folder / "tls")
        ca, certificate, key = certificates.client
        self._folder = folder
        self._write("ddnsd-tsig/ddnsd.key", KEY.encode())
        self._write("ddnsd-admin/token", b"test-admin-token-0123456789\n")
        self._write("ddnsd-etcd/password", b"test-password\n")
        self._write("ddnsd-etcd/ca.crt", ca)
        for name in ("ddnsd-etcd", "ddnsd-tls"):
            self._write(f"{name}/tls.crt", certificate)
            self._write(f"{name}/tls.key", key)

    def _write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)

    def placed(self, config: Document) -> Any:
        """Return a configuration whose files are in this folder in place of the pod's."""
        return json.loads(json.dumps(config).replace('"/secrets/', f'"{self._folder}/'))

    def check(self, config: Document, file: Path) -> "subprocess.CompletedProcess[str]":
        """Run `ddnsd check` on a rendered configuration."""
        file.write_text(json.dumps(self.placed(config)))
        command = [sys.executable, "-m", "ddnsd", "check", str(file)]
        return subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
