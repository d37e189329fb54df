"""Run ddnsd from config.yaml, load the example once, and print how to try it: the work of `make run`."""

import contextlib
import json
import os
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

import dns.exception
import dns.message
import dns.query
import dns.rcode
from example import ZONE, AdminApi, curl_line, ddnsd, dig_line, load_example, reachable

from ddnsd.config import ConfigError, ListenAddress, Rfc2136NameserverSettings, Settings, load
from ddnsd.config.parse import parse_endpoint

START_SECONDS = 30.0
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

    config: Path
    settings: Settings
    environ: Mapping[str, str]

    @property
    def listening(self) -> Path:
        return self.settings.data / "listening.json"

    @property
    def token_file(self) -> Path:
        return self.settings.data / "example-token"


def main(root: Path) -> int:
    """Return the exit status: the server's own, or 2 for a wrong configuration."""
    environ = with_short_names(os.environ)
    config = Path(environ.get("DDNSD_CONFIG") or root / "config.yaml")
    try:
        run = Run(config, load(config, environ), environ)
    except ConfigError as error:
        print(in_short_names(str(error), os.environ), file=sys.stderr)
        return 2
    run.listening.unlink(missing_ok=True)
    # A group of its own: a Ctrl-C reaches this process alone, which passes it on once.
    server = subprocess.Popen(
        ddnsd("serve", "--config", str(config)), env=environ, stdin=subprocess.DEVNULL, process_group=0
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
        admin_token = run.settings.admin.token_file or run.settings.data / "admin-token"
        admin = AdminApi(f"http://{reachable(str(addresses['admin']))}", admin_token)
        load_example(admin, run.token_file, run.environ)
    address = nameserver(run, addresses["dns"])
    if not isinstance(run.settings.nameservers["default"], Rfc2136NameserverSettings):
        wait_until_served(address)
    print("\nddnsd is ready. In another terminal:\n", flush=True)
    scheme = "https" if run.settings.listen.tls else "http"
    print(curl_line(f"{scheme}://{reachable(str(addresses['public']))}", run.token_file, "192.0.2.7"))
    print(dig_line(*address), flush=True)
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


def wait_until_served(nameserver: ListenAddress) -> None:
    """Wait until the example's zone is loaded: a node is ready before that, and answers SERVFAIL for it.

    Any other answer will do: somebody may have deleted the zone. What takes longer than a start may take
    is not waited for.
    """
    question = dns.message.make_query(ZONE, "SOA")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(dns.exception.DNSException, OSError):
            answer = dns.query.udp(question, nameserver.host, timeout=1, port=nameserver.port)
            if answer.rcode() != dns.rcode.SERVFAIL:
                return
        time.sleep(0.05)


def nameserver(run: Run, dns: object) -> ListenAddress:
    default = run.settings.nameservers["default"]
    if isinstance(default, Rfc2136NameserverSettings):
        return ListenAddress(default.address, default.port)
    assert isinstance(dns, dict)
    return parse_endpoint(reachable(dns["default"]))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
