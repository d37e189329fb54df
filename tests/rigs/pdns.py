"""PowerDNS Authoritative Server on SQLite (https://doc.powerdns.com/authoritative/dnsupdate.html)."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.rigs.base import NameserverRig
from tests.rigs.client import Record
from tests.rigs.process import find_program

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


class PowerDnsRig(NameserverRig):
    """pdns_server; zones, key and permissions are rows of its database."""

    def prepare(self) -> None:
        find_program("pdns_server", "pdns-server pdns-backend-sqlite3")
        if not self._database.exists():
            with closing(sqlite3.connect(self._database)) as database, database:
                database.executescript(SCHEMA.read_text())
                self._fill(database)
        (self.folder / "pdns.conf").write_text(self._configuration())

    def command(self) -> list[str]:
        program = find_program("pdns_server", "pdns-server pdns-backend-sqlite3")
        return [program, f"--config-dir={self.folder}"]

    @property
    def _database(self) -> Path:
        return self.folder / "pdns.sqlite3"

    def _fill(self, database: sqlite3.Connection) -> None:
        database.execute(
            "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, ?, ?)",
            (self.key_name, self.key_algorithm, self.secret_text),
        )
        for number, zone in enumerate(self.zones, start=1):
            database.execute("INSERT INTO domains (id, name, type) VALUES (?, ?, 'NATIVE')", (number, zone))
            database.executemany(
                "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (?, ?, ?)",
                [(number, kind, self.key_name) for kind in ("TSIG-ALLOW-DNSUPDATE", "TSIG-ALLOW-AXFR")],
            )
            database.executemany(
                "INSERT INTO records (domain_id, name, ttl, type, content, auth) VALUES (?, ?, ?, ?, ?, 1)",
                [(number, *record) for record in map(_parse, self.zone_file(zone).splitlines())],
            )

    def _configuration(self) -> str:
        return f"""
launch=gsqlite3
gsqlite3-database={self._database}
local-address={self.address}
local-port={self.port}
socket-dir={self.folder}
daemon=no
guardian=no
disable-syslog=yes
log-timestamp=yes
loglevel=5
dnsupdate=yes
enable-lua-records=yes
allow-dnsupdate-from={self.address}
allow-axfr-ips=
zone-cache-refresh-interval=0
version-string=anonymous
security-poll-suffix=
"""


def _parse(line: str) -> Record:
    """Read a line of a zone file; the database has names without the trailing dot."""
    name, ttl, type, value = line.split(maxsplit=3)
    value = value if type == "TXT" else " ".join(word.removesuffix(".") for word in value.split())
    return Record(name.removesuffix("."), int(ttl), type, value)
