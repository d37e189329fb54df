"""Run ddnsd from config.yaml, load the example once, and print how to try it: the work of `make run`."""

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ddnsd.config import ConfigError, Endpoint, Rfc2136Nameserver, Settings, load
from ddnsd.config.parse import parse_endpoint
from ddnsd.model.tokens import digest

START_SECONDS = 30.0
HOST = "blog.example.com"
PORTS = {  # short names for people
    "HTTP_PORT": ("DDNSD_LISTEN_PUBLIC", ":{}"),
    "ADMIN_PORT": ("DDNSD_LISTEN_ADMIN", "127.0.0.1:{}"),
    "HEALTH_PORT": ("DDNSD_LISTEN_HEALTH", "127.0.0.1:{}"),
    "DNS_PORT": ("DDNSD_NAMESERVERS_DEFAULT_LISTEN", "127.0.0.1:{}"),
}
DNS_PORT_IS = "(DNS_PORT is for the embedded nameserver only: leave it out with another)"


class NotStartedError(Exception):
    """ddnsd ended or was not ready in time; its own log says why."""


class Run(NamedTuple):
    """One run of ddnsd. `listening` is where the server notes its addresses once it is ready."""

    root: Path
    config: Path
    settings: Settings
    environ: Mapping[str, str]

    @property
    def listening(self) -> Path:
        return self.settings.data / "listening.json"

    @property
    def token_file(self) -> Path:
        return self.settings.data / "example-token"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "ddnsd", *arguments]


def main(root: Path) -> int:
    """Return the exit status: the server's own, or 2 for a wrong configuration."""
    environ = with_short_names(os.environ)
    config = Path(environ.get("DDNSD_CONFIG") or root / "config.yaml")
    try:
        run = Run(root, config, load(config, environ), environ)
    except ConfigError as error:
        print(in_short_names(str(error), os.environ), file=sys.stderr)
        return 2
    run.listening.unlink(missing_ok=True)
    # A group of its own: a Ctrl-C reaches this process alone, which passes it on once.
    server = subprocess.Popen(
        run.command("serve", "--config", str(config)), env=environ, stdin=subprocess.DEVNULL, process_group=0
    )
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: server.terminate())
    try:
        introduce(run, server)
    except (NotStartedError, subprocess.CalledProcessError) as error:
        print(f"make run: {error}", file=sys.stderr)
        server.terminate()
        return server.wait() or 1
    status = server.wait()
    return status if status >= 0 else 128 - status


def with_short_names(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with HTTP_PORT and the like in the variables that ddnsd reads."""
    short = {long: form.format(environ[name]) for name, (long, form) in PORTS.items() if environ.get(name)}
    return {**short, **environ}


def in_short_names(text: str, environ: Mapping[str, str]) -> str:
    """Return what is wrong with the configuration in the names that the user has set."""
    used = {long: name for name, (long, _) in PORTS.items() if environ.get(name) and long not in environ}
    for long, name in used.items():
        text = text.replace(long, f"{name}={environ[name]}")
    return f"{text}\n{DNS_PORT_IS}" if "DNS_PORT=" in text else text


def introduce(run: Run, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server is ready, load the example on its first start, and say how to try it.

    Raises:
        NotStartedError, CalledProcessError: the server is not ready, or refuses the example.
    """
    addresses = wait_until_ready(run, server)
    if not run.token_file.exists():
        load_example(run, addresses["admin"])
    print("\nddnsd is ready. In another terminal:\n", flush=True)
    print(curl_line(run, addresses["public"]))
    print(dig_line(run, addresses["dns"]), flush=True)
    if shutil.which("dig") is None:
        print("\n(dig is missing: sudo apt-get install bind9-dnsutils)", flush=True)
    print("\nCtrl-C ends it; everything is kept.\n", flush=True)


def wait_until_ready(run: Run, server: "subprocess.Popen[bytes]") -> dict[str, object]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise NotStartedError(f"ddnsd ended with status {server.returncode}; its last lines say why")
        if run.listening.exists():
            addresses: dict[str, object] = json.loads(run.listening.read_text())
            if is_ready(str(addresses["health"])):
                return addresses
        time.sleep(0.05)
    raise NotStartedError(f"ddnsd is not ready after {START_SECONDS:g} seconds")


def is_ready(health: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{reachable(health)}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def load_example(run: Run, admin: object) -> None:
    """Apply the example with a new token. The token's file comes last, so that a crash begins anew."""
    secret = secrets.token_urlsafe(32)
    token = {
        "apiVersion": "ddnsd.dev/v1alpha1",
        "kind": "Token",
        "metadata": {"name": "example"},
        "spec": {"account": "alice", "sha256": digest(secret), "hosts": [HOST]},
    }
    documents = (run.root / "examples" / "quickstart.yaml").read_text() + f"---\n{json.dumps(token)}\n"
    admin_token = run.settings.admin.token_file or run.settings.data / "admin-token"
    server = ("--server", f"http://{reachable(str(admin))}", "--admin-token-file", str(admin_token))
    command = run.command("apply", "-f", "-", *server)
    subprocess.run(
        command, input=documents, text=True, check=True, env=run.environ, stdout=subprocess.DEVNULL
    )
    fresh = run.token_file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
    fresh.replace(run.token_file)


def curl_line(run: Run, public: object) -> str:
    scheme = "https" if run.settings.listen.tls else "http"
    url = f"{scheme}://{reachable(str(public))}/api/ddns/update?domain={HOST}&ip=192.0.2.7"
    return f'curl -sS -H "Authorization: Bearer $(cat {shlex.quote(str(run.token_file))})" "{url}"'


def dig_line(run: Run, dns: object) -> str:
    nameserver = run.settings.nameservers["default"]
    if isinstance(nameserver, Rfc2136Nameserver):
        endpoint = Endpoint(nameserver.address, nameserver.port)
    else:
        assert isinstance(dns, dict)
        endpoint = parse_endpoint(reachable(dns["default"]))
    return f"dig @{endpoint.host} -p {endpoint.port} +short {HOST} A"


LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def reachable(listening: str) -> str:
    """Return an address that leads to a listener of this machine, on loopback if it is on every address."""
    endpoint = parse_endpoint(listening)
    return str(endpoint._replace(host=LOOPBACK.get(endpoint.host, endpoint.host)))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
