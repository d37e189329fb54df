"""A small Internet: a provider with BIND and ddnsd on their usual ports, and homes that know them by name.

So the recipes of docs/clients run as they stand there, https and all: `ddns.example.net` is the provider in
each home's /etc/hosts, and the homes trust the authority that signed its certificate.
"""

import itertools
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

from tests.clients.nameserver import Nameserver
from tests.rigs.certificates import Certificates
from tests.rigs.home import Home
from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.subnet import run
from tests.system.installation import Installation
from tests.system.mounted import noticed
from tests.waiting import until

SERVER, AUTHORITY = "ddns.example.net", "acme.example.net"  # ddnsd's name, the certificate authority's
ZONE = "example.com"
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_NETWORK6 = "2001:db8:53::"  # /64, of each bridge: nothing else is on it
_FIRST_MOVE = 100  # host number of the addresses to which homes move; Network gives lower ones

SECONDS = 20.0  # in which what has to come comes, on a busy machine
PUBLISH = {"timeout": 2, "probe_interval": 0.05}  # seconds; by default a client waits 8 for its `dnserr`
ONE_CHANGE = {"token_changes": 0.01, "token_changes_burst": 1}  # fair use: one, and no other in this test


class Internet:
    """`async with Internet(folder) as internet:`; where it cannot be made the test is skipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._moves = itertools.count(_FIRST_MOVE)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._network = stack.enter_context(Network())
            self._stack = stack
            self.provider = self._network.place("provider")
            self._add_address6(self.provider)
            self.certificates = Certificates(self._folder / "certificates", names=(SERVER, AUTHORITY))
            self.nameserver = await stack.enter_async_context(Nameserver([ZONE], place=self.provider))
            self.ddnsd = await self._start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> Installation:
        folder = self._folder / "ddnsd"
        folder.mkdir()
        files = self.certificates.folder
        listen = {
            "public": ":443",
            "admin": f"{self.provider.address}:8081",
            "health": f"{self.provider.address}:8082",
            "tls": {"certificate": str(files / "server.pem"), "key": str(files / "server.key")},
        }
        ddnsd = Installation(folder, self.nameserver, place=self.provider, listen=listen, publish=PUBLISH)
        return await self._stack.enter_async_context(ddnsd)

    @contextmanager
    def home(self, **environ: str) -> Iterator[Home]:
        """Add a client's machine until the block ends; `environ` is for all of its programs."""
        place = self._network.place(f"home{next(self._numbers)}")
        self._add_address6(place)
        with Home(place, self._folder / place.namespace, {"REQUESTS_CA_BUNDLE": TRUSTED, **environ}) as home:
            self._know(home)
            home.write("/etc/resolv.conf", f"nameserver {self.provider.address}\n", 0o644)
            self._trust(home)
            yield home

    def _know(self, home: Home) -> None:
        """Let a home know ddnsd by an address of each family, as most servers are known."""
        ipv4, ipv6 = self.provider.address, self.address6(self.provider)
        hosts = f"127.0.0.1 localhost\n{ipv6} {SERVER}\n{ipv4} {SERVER} {AUTHORITY}\n"
        home.write("/etc/hosts", hosts, 0o644)

    def _trust(self, home: Home) -> None:
        """Put the authority among those that the machine trusts, as `update-ca-certificates` does."""
        authority = self.certificates.folder / "ca.pem"
        folder = home.folder / "etc/ssl/certs"
        folder.mkdir(parents=True, exist_ok=True)
        hash = run("openssl", "x509", "-noout", "-hash", "-in", str(authority)).strip()
        for name in (Path(TRUSTED).name, f"{hash}.0"):
            shutil.copy(authority, folder / name)

    def move(self, home: Home) -> str:
        """Give a home another IPv4 address, which nobody has had yet; return it."""
        address = f"{home.address.rpartition('.')[0]}.{next(self._moves)}"
        home.move(address)
        return address

    def address6(self, place: Place) -> str:
        """Return a place's IPv6 address."""
        return f"{_NETWORK6}{place.address.rpartition('.')[2]}"

    def _add_address6(self, place: Place) -> None:
        inside = ("ip", "-n", place.namespace, "-6")
        run(*inside, "addr", "add", f"{self.address6(place)}/64", "dev", "eth0", "nodad")
        if place != self.provider:  # some clients find their address by the route to anywhere
            run(*inside, "route", "add", "default", "via", self.address6(self.provider))

    async def asked(self) -> float:
        """Return how many updates all clients together have sent to ddnsd, by whichever API."""
        metrics = (await self.ddnsd.health.get("/metrics")).body.decode()
        counts = re.findall(r"(?m)^ddnsd_requests_total\{.*\} (\S+)$", metrics)
        return sum(map(float, counts))

    async def served(self, host: str, type: str, *values: str) -> None:
        """Wait until the nameserver has just these values, and ddnsd knows it: then they are no change."""

        async def is_served() -> bool:
            if await self.nameserver.query(host, type) != values:
                return False
            shown = (await self.ddnsd.admin("GET", f"hosts/{host}")).json["status"].get(type)
            return shown is not None and bool(shown["published"])

        await until(is_served, SECONDS, f"{host} {type} {values}")

    @asynccontextmanager
    async def without_nameserver(self) -> AsyncIterator[None]:
        """Have no nameserver in the block."""
        await self.nameserver.stop()
        try:
            yield
        finally:
            await self.nameserver.restart()

    @asynccontextmanager
    async def limits(self, **fair_use: float) -> AsyncIterator[None]:
        """Have these limits of fair use in the block."""
        await self._configure(fair_use)
        try:
            yield
        finally:
            await self._configure({})

    async def _configure(self, fair_use: Mapping[str, float]) -> None:
        async with noticed(self.ddnsd):
            self.ddnsd.config["fair_use"] = dict(fair_use)
            self.ddnsd.write_config()
            self.ddnsd.hang_up()
