"""HAProxy (https://docs.haproxy.org/2.6/configuration.html): one address before several nodes; retries."""

import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.rigs.place import LOOPBACK
from tests.rigs.ports import PortLease
from tests.rigs.process import ServerProcess, find_program

_START = 60.0  # seconds


class HaproxyRig:
    """`with HaproxyRig(addresses) as proxy:` starts it before these and leaves nothing behind."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        option: str = "",
        mode: str = "http",
        hosts: Sequence[str] = (LOOPBACK.address,),
    ) -> None:
        """`servers` are as `host:port`, each with this `option`; it listens on one port of all `hosts`."""
        self._servers = servers
        self._option = option
        self._mode = mode
        self._folder = Path(tempfile.mkdtemp(prefix="ddnsd-haproxy-"))
        self._lease = PortLease()
        self.addresses = [f"{host}:{self._lease.port}" for host in hosts]
        self.address = self.addresses[0]

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
        try:
            self._process.wait_until(self._listens, _START, "HAProxy listens")
        except AssertionError as error:
            raise RuntimeError(f"HAProxy does not start:\n{(self._folder / 'output').read_text()}") from error

    def _listens(self) -> bool:
        with socket.socket() as stream:
            return stream.connect_ex((LOOPBACK.address, self._lease.port)) == 0

    def _remove(self) -> None:
        self._lease.release()
        shutil.rmtree(self._folder)

    def _configuration(self) -> str:
        servers = "\n".join(
            f"    server node{n} {server} {self._option}" for n, server in enumerate(self._servers)
        )
        retries = "retry-on all-retryable-errors" if self._mode == "http" else ""
        checks = "option httpchk GET /healthz" if self._mode == "http" else ""
        return f"""
defaults
    mode {self._mode}
    timeout connect 500ms
    timeout check 30s
    timeout client 30s
    timeout server 30s
    retries 5
    {retries}
    {checks}
    option redispatch 1
frontend public
    bind {",".join(self.addresses)}
    default_backend nodes
backend nodes
    balance roundrobin
{servers}
"""
