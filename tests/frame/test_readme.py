"""What the README tells people to paste into their nameserver is understood by it."""

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from tests.rigs.pdns import SCHEMA
from tests.rigs.process import find_program

README = (Path(__file__).parents[2] / "README.md").read_text()


def _block(title: str) -> str:
    found = re.search(rf"(?s)^\*\*{title}\*\*.*?^```\w*\n(.*?)^```", README, re.MULTILINE)
    assert found, f"the README has no block for {title}"
    return found[1]


def test_bind_takes_its_block(tmp_path: Path) -> None:
    key = tmp_path / "ddnsd.key"
    made = [find_program("tsig-keygen", "bind9-utils"), "-a", "hmac-sha256", "ddnsd"]
    key.write_bytes(subprocess.run(made, check=True, capture_output=True).stdout)
    path = tmp_path / "named.conf"
    path.write_text(_block("BIND").replace("/etc/bind/ddnsd.key", str(key)))
    _accepts([find_program("named-checkconf", "bind9-utils"), str(path)])


def test_knot_takes_its_block(tmp_path: Path) -> None:
    path = tmp_path / "knot.conf"
    path.write_text(_block("Knot"))
    _accepts([find_program("knotc", "knot"), "--config", str(path), "conf-check"])


def test_powerdns_takes_its_commands(tmp_path: Path) -> None:
    pdnsutil = find_program("pdnsutil", "pdns-server")
    (tmp_path / "pdns.conf").write_text(f"launch=gsqlite3\ngsqlite3-database={tmp_path}/zones.db\n")
    with closing(sqlite3.connect(tmp_path / "zones.db")) as database:
        database.executescript(SCHEMA.read_text())
    program = f"{pdnsutil} --config-dir {tmp_path}"
    _accepts(f"{program} create-zone example.com".split())
    for line in _block("PowerDNS").splitlines():
        _accepts(["sh", "-c", line.replace("pdnsutil", program, 1)])


def _accepts(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
