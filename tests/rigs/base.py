"""What all rigs have in common: one real nameserver, its zones and its TSIG key."""

import asyncio
import secrets
import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Self

import dns.asyncquery
import dns.exception
import dns.message

from ddnsd.nameserver.rfc2136 import Rfc2136Settings
from tests.rigs.client import Client, Record
from tests.rigs.place import LOOPBACK, Place
from tests.rigs.ports import PortLease
from tests.rigs.process import ServerProcess
from tests.waiting import until

_START = 60.0  # seconds that a start may take, on a busy machine
_ATTEMPTS = 3  # starts, each on another port


class StartError(RuntimeError):
    """The server ended, or did not answer in time."""


class NameserverRig(Client, ABC):
    """A nameserver with dynamic update and AXFR allowed to one key; in a folder and on a port of its own.

    `async with BindRig(zones=["a.test", "b.test"]) as rig:` starts it and leaves nothing behind.
    """

    def __init__(
        self,
        zones: Sequence[str] = ("example.com",),
        records: Sequence[Record] = (),
        place: Place = LOOPBACK,
    ) -> None:
        """Say which zones it has; `records` stand there from the start, beside SOA and NS."""
        self.place = place
        self.address = place.address
        self.zones = tuple(zones)
        self.records = tuple(records)
        self.key_secret = secrets.token_bytes(32)
        self.folder = Path(tempfile.mkdtemp(prefix="ddnsd-rig-"))  # short: it holds Unix sockets
        self._lease = PortLease()
        self._process: ServerProcess | None = None

    @property
    def port(self) -> int:
        """The port, of TCP and UDP; the same over restarts."""
        return self._lease.port

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def settings(self) -> Rfc2136Settings:
        """What ddnsd needs to publish here."""
        return Rfc2136Settings(
            name=type(self).__name__,
            host=self.address,
            port=self.port,
            key_name=self.key_name,
            key_algorithm=self.key_algorithm,
            key_secret=self.key_secret,
        )

    @property
    def secret_text(self) -> str:
        """The key as configuration files write it."""
        return b64encode(self.key_secret).decode()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:  # also a skipped test: leave nothing behind
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def start(self) -> None:
        """Start it and wait until it answers for all its zones; on another port if this one was taken."""
        for remaining in reversed(range(_ATTEMPTS)):
            self.prepare()
            try:
                await self._launch()
            except StartError:
                if not remaining:
                    raise
                self._lease.release()
                self._lease = PortLease()
            else:
                return

    async def _launch(self) -> None:
        self._process = ServerProcess(self.place.command(*self.command()), self.folder / "output")
        for zone in self.zones:
            try:
                await until(partial(self._has_started, zone), _START)
            except AssertionError as error:
                self._process.kill()
                raise StartError(
                    f"{type(self).__name__} does not answer for {zone}:\n{self.log_text()}"
                ) from error

    async def _has_started(self, zone: str) -> bool:
        assert self._process is not None
        assert self._process.running, "it has ended"
        return await self._serves(zone)

    async def _serves(self, zone: str) -> bool:
        query = dns.message.make_query(zone, "SOA", flags=0)
        try:
            answer = await dns.asyncquery.udp(query, self.address, timeout=0.2, port=self.port)
        except (dns.exception.DNSException, OSError):
            return False
        return bool(answer.answer)

    async def stop(self) -> None:
        """End it as an administrator would; it keeps data and port."""
        if self._process is not None:
            await asyncio.to_thread(self._process.terminate)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()

    async def restart(self) -> None:
        """Stop it if it runs, and start it with its data on its port."""
        await self.stop()
        await self._launch()

    def freeze(self) -> None:
        """SIGSTOP: it accepts connections (the kernel does) and answers nothing."""
        assert self._process is not None
        self._process.stop()

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.signal(signal.SIGCONT)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._lease.release()
        shutil.rmtree(self.folder)

    def log_text(self) -> str:
        """Return all that the server wrote, over all its starts."""
        return "\n".join(
            path.read_text(errors="replace")
            for name in ("output", "log")
            if (path := self.folder / name).exists()
        )

    def zone_file(self, zone: str) -> str:
        """Return the zone as a zone file (RFC 1035 §5)."""
        own = [record for record in self.records if f".{record.name}".endswith(f".{zone}")]
        lines = [f"{record.name}. {record.ttl} {record.type} {record.value}" for record in own]
        apex = (
            f"{zone}. 3600 SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60",
            f"{zone}. 3600 NS ns.{zone}.",
            f"ns.{zone}. 3600 A 127.0.0.1",
        )
        return "\n".join((*apex, *lines, ""))

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and zones into `folder`, for the port of now."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
