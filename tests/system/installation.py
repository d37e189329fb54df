"""The real program, as a process of its own, with its data in a folder of the test's."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.client import ask
from tests.rigs.documents import document
from tests.rigs.place import LOOPBACK, Place
from tests.system.http import Client, Reply
from tests.waiting import until

UPDATE = "/api/ddns/update"
SECRET = "test-secret-0123456789"
START_SECONDS = 60.0


class Installation:
    """One node of ddnsd. `async with Installation(folder) as ddnsd:` starts it and ends it."""

    def __init__(
        self,
        folder: Path,
        rig: NameserverRig | None = None,
        rigs: Mapping[str, NameserverRig] | None = None,
        environ: Mapping[str, str] | None = None,
        place: Place = LOOPBACK,
        role: str = "node",
        **settings: Any,
    ) -> None:
        """`settings` are added to config.yaml; `rigs` are its nameservers (`rig`: the default one).

        Nobody is told to wait for asking too often, unless `settings` say so.
        """
        self.folder = folder
        self.place = place
        self.role = role
        self.data = folder / "data"
        self.environ = dict(environ or {})  # beyond this process's own
        self._process: asyncio.subprocess.Process | None = None
        self.log_path = folder / "log"
        self.secret = SECRET
        self.start_seconds = START_SECONDS  # that a start may take
        self.program: tuple[str, ...] = (sys.executable, "-m", "ddnsd")
        rigs = dict(rigs or {}) | ({"default": rig} if rig else {})
        nameservers = {name: _section(folder, name, rig) for name, rig in rigs.items()}
        self.config = {
            "listen": _listen(place),
            "nameservers": nameservers or {"default": {"kind": "embedded", "listen": "127.0.0.1:0"}},
            "log": {"format": "json", "level": "debug"},
            "fair_use": {"enabled": False},
            **settings,
        }
        self.addresses: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it, whether it was started or not."""
        await self.kill()
        await self.disconnect()

    async def start(self) -> None:
        listening = self.data / "listening.json"
        listening.unlink(missing_ok=True)
        command = self.command("serve", "--role", self.role, "--config")
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stderr=log, env=self._whole_environ()
            )
        process = self._process

        def listens() -> bool:
            assert process.returncode is None, f"ddnsd does not start:\n{self.log()[-4000:]}"
            return listening.exists()

        await until(listens, self.start_seconds, lambda: f"ddnsd listens:\n{self.log()[-4000:]}")
        self.addresses = json.loads(listening.read_text())
        await self.disconnect()
        self.health = Client(self.addresses["health"])
        if self.role != "controller":
            self.public = Client(self.addresses["public"])
            self._admin = Client(self.addresses["admin"])

    @property
    def config_path(self) -> Path:
        return self.folder / "config.yaml"

    def write_config(self) -> None:
        """Write config.yaml as `config` is now."""
        self.config_path.write_text(yaml.safe_dump(self.config, allow_unicode=True))

    def command(self, *arguments: str) -> list[str]:
        """Return a command whose last argument is config.yaml, and write that."""
        self.write_config()
        return self.place.command(*self.program, *arguments, str(self.config_path))

    async def fail(self, *arguments: str) -> tuple[int, str]:
        """Run a command that ends by itself, as `serve` should here; return its status and what it says."""
        command = self.command(*arguments or ("serve", "--config"))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._whole_environ(),
        )
        said, _ = await asyncio.wait_for(process.communicate(), START_SECONDS)
        assert process.returncode is not None
        return process.returncode, said.decode()

    def _whole_environ(self) -> dict[str, str]:
        return {**os.environ, **self.environ}

    async def disconnect(self) -> None:
        for name in ("public", "_admin", "health"):
            if hasattr(self, name):
                await getattr(self, name).close()

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM; return the exit status."""
        assert self._process is not None
        self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended by itself; return the exit status."""
        assert self._process is not None
        return await self._process.wait()

    def hang_up(self) -> None:
        """SIGHUP: it is to look at its files now."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the logged events of this name."""
        whole = self.log().rpartition("\n")[0]  # without a line that is being written
        lines = (line for line in whole.splitlines() if line.startswith("{"))
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    @property
    def dns_port(self) -> int:
        """Port of the embedded nameserver."""
        return int(self.addresses["dns"]["default"].rpartition(":")[2])

    async def query(self, name: str, type: str) -> tuple[str, ...]:
        """Ask the embedded nameserver."""
        return await ask("127.0.0.1", self.dns_port, name, type)

    async def metric(self, name: str) -> float:
        """Return a metric that has no labels."""
        lines = (await self.health.get("/metrics")).body.decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    async def admin(self, method: str, path: str, document: Any = None) -> Reply:
        token = (self.data / "admin-token").read_text().strip()
        body = b"" if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._admin.send(method, f"/api/v1/{path}", headers, body)

    async def has_committed(self, ip: str, *hosts: str) -> bool:
        """Say whether this is the IPv4 address of each host in the store, published or not."""
        found = (await self.admin("GET", "hosts?limit=1000")).json["items"]
        stored = {each["metadata"]["name"]: each.get("status", {}).get("A", {}).get("ip") for each in found}
        return all(stored.get(host) == ip for host in hosts)

    async def apply(self, *documents: Mapping[str, Any]) -> None:
        for start in range(0, len(documents), 500):
            reply = await self.admin("POST", "apply", list(documents[start : start + 500]))
            assert reply.status == 200, reply.body

    async def update(self, domain: str, ip: str = "", token: str = "", **query: str) -> Reply:
        return await self.public.get(UPDATE, domain=domain, ip=ip, token=token or self.secret, **query)


def example(hosts: Sequence[str] = ("blog.example.com",), zone: str = "example.com") -> list[dict[str, Any]]:
    """One zone, one account with a token whose secret is `SECRET`, and hosts."""
    return [
        document("Zone", zone),
        document("Account", "alice"),
        document("Token", "alice-router", account="alice", sha256=digest(SECRET)),
        *(document("Host", host, account="alice") for host in hosts),
    ]


def _listen(place: Place) -> dict[str, str]:
    """Return any free ports; the usual ones, over all restarts, where the node has an address of its own."""
    ports = {"public": 8080, "admin": 8081, "health": 8082}
    return {name: f"{place.address}:{port if place.namespace else 0}" for name, port in ports.items()}


def _section(folder: Path, name: str, rig: NameserverRig) -> dict[str, Any]:
    key = folder / f"{name}.key"
    key.touch(mode=0o600)
    key.write_text(rig.secret_text)
    return {
        "kind": "rfc2136",
        "address": rig.address,
        "port": rig.port,
        "key": {"name": rig.key_name, "algorithm": rig.key_algorithm, "secret_file": str(key)},
    }
