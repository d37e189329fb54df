"""Pebble, a certificate authority for tests (https://github.com/letsencrypt/pebble)."""

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Self

from tests.rigs.place import Place
from tests.rigs.process import ServerProcess, find_program

PORT = 14000
_START = 60.0  # seconds
_ENVIRONMENT = {
    "PEBBLE_VA_NOSLEEP": "1",  # by default it waits for some seconds before each look
    "PEBBLE_AUTHZREUSE": "0",  # each order has to be proven anew
    "PEBBLE_WFE_NONCEREJECT": "0",  # by default it refuses one of twenty requests, to try clients
}


class PebbleRig:
    """`with PebbleRig(place, resolver, certificate, key) as pebble:`; it keeps nothing."""

    def __init__(self, place: Place, resolver: str, certificate: Path, key: Path) -> None:
        """It looks names up at `resolver` alone, `host:port`; `certificate` and `key` are its own for TLS."""
        self._place = place
        self._resolver = resolver
        self._tls = (certificate, key)
        self._folder = tempfile.TemporaryDirectory(prefix="ddnsd-pebble-")

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        (folder / "config.json").write_text(json.dumps(self._configuration()))
        program = find_program("pebble", "pebble")
        command = (program, "-config", str(folder / "config.json"), "-dnsserver", self._resolver, "-strict")
        environ = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        self._process = ServerProcess(self._place.command("env", *environ, *command), folder / "output")
        try:
            self._process.wait_until(self._listens, _START, "Pebble listens")
        except AssertionError as error:
            raise RuntimeError(f"Pebble does not start:\n{self.log_text()}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._folder.cleanup()

    def log_text(self) -> str:
        """Return all that it wrote."""
        return (Path(self._folder.name) / "output").read_text(errors="replace")

    def _listens(self) -> bool:
        with socket.socket() as stream:
            return stream.connect_ex((self._place.address, PORT)) == os.EX_OK

    def _configuration(self) -> dict[str, object]:
        certificate, key = self._tls
        return {
            "pebble": {
                "listenAddress": f"{self._place.address}:{PORT}",
                "managementListenAddress": f"{self._place.address}:{PORT + 1000}",
                "certificate": str(certificate),
                "privateKey": str(key),
                "httpPort": 80,
                "tlsPort": 443,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": False,
            }
        }
