"""HAProxy (https://docs.haproxy.org/2.6/configuration.html): one address before several nodes; retries."""

import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from .place import LOOPBACK
from .ports import PortLease
from .process import ServerProcess, find_program

_START = 10.0  # seconds


class HaproxyRig:
    """`with HaproxyRig(addresses) as proxy:` starts it before these and leaves nothing behind."""

    def __init__(self, servers: Sequence[str]) -> None:
        """`servers` are as `host:port`."""
        self._servers = servers
        self._folder = Path(tempfile.mkdtemp(prefix="ddnsd-haproxy-"))
        self._lease = PortLease()
        self.address = f"{LOOPBACK.address}:{self._lease.port}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._remove()

    def _start(self) -> None:
        program = find_program("haproxy", "haproxy")
        configuration = self._folder / "haproxy.cfg"
        configuration.write_text(self._configuration())
        self._process = ServerProcess([program, "-db", "-f", str(configuration)], self._folder / "output")
        deadline = time.monotonic() + _START
        while not self._listens():
            if not self._process.running or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"HAProxy does not start:\n{(self._folder / 'output').read_text()}")
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket() as stream:
            return stream.connect_ex((LOOPBACK.address, self._lease.port)) == 0

    def _remove(self) -> None:
        self._lease.release()
        shutil.rmtree(self._folder)

    def _configuration(self) -> str:
        servers = "\n".join(f"    server node{n} {server}" for n, server in enumerate(self._servers))
        return f"""
defaults
    mode http
    timeout connect 500ms
    timeout client 30s
    timeout server 30s
    retries 5
    retry-on all-retryable-errors
    option redispatch 1
frontend public
    bind {self.address}
    default_backend nodes
backend nodes
    balance roundrobin
{servers}
"""
