"""The example that `make run` and `make cluster` load, and the lines that try it."""

import json
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ddnsd import files
from ddnsd.config.parse import parse_endpoint
from ddnsd.model.resources import digest

HOST = "blog.example.com"
ZONE = "example.com"
_DOCUMENTS = Path(__file__).parents[1] / "examples" / "quickstart.yaml"
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class AdminApi(NamedTuple):
    """Where an admin API is: `server` is a URL."""

    server: str
    token_file: Path

    @property
    def options(self) -> tuple[str, ...]:
        """The command line's."""
        return "--server", self.server, "--admin-token-file", str(self.token_file)


def ddnsd(*arguments: str) -> list[str]:
    """Return a command of ddnsd, in this program's own environment."""
    return [sys.executable, "-m", "ddnsd", *arguments]


def load_example(admin: AdminApi, token_file: Path, environ: Mapping[str, str]) -> None:
    """Apply the example with a new token. The token's file comes last, so that a crash begins anew.

    Raises:
        CalledProcessError: ddnsd refuses it.
    """
    secret = secrets.token_urlsafe(32)
    token = {
        "apiVersion": "ddnsd.dev/v1alpha1",
        "kind": "Token",
        "metadata": {"name": "example"},
        "spec": {"account": "alice", "sha256": digest(secret), "hosts": [HOST]},
    }
    documents = _DOCUMENTS.read_text() + f"---\n{json.dumps(token)}\n"
    command = ddnsd("apply", "-f", "-", *admin.options)
    subprocess.run(command, input=documents, text=True, check=True, env=environ, stdout=subprocess.DEVNULL)
    write_secret(token_file, secret + "\n")


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    files.write(path, [text.encode()])


def curl_line(base: str, token_file: Path, ip: str) -> str:
    """Return a line that gives the host an address; `base` is the URL of the update API's listener."""
    url = f"{base}/api/ddns/update?domain={HOST}&ip={ip}"
    return f'curl -sS -H "Authorization: Bearer $(cat {shlex.quote(str(token_file))})" "{url}"'


def dig_line(address: str, port: int) -> str:
    """Return a line that asks a nameserver for the host."""
    return f"dig @{address} -p {port} +short {HOST} A"


def reachable(listening: str) -> str:
    """Return an address that leads to a listener of this machine, on loopback if it is on every address."""
    endpoint = parse_endpoint(listening)
    return str(endpoint._replace(host=_LOOPBACK.get(endpoint.host, endpoint.host)))
