"""Knot DNS (https://www.knot-dns.cz/docs/3.2/singlehtml/)."""

from typing import NamedTuple

from tests.rigs.base import NameserverRig
from tests.rigs.process import find_program


class Role(NamedTuple):
    """What a configuration has more, in YAML; and what the key may do."""

    sections: str
    template: str
    actions: str


class KnotRig(NameserverRig):
    """knotd; changes live in its journal, the zone files stay as they were written."""

    def prepare(self) -> None:
        # Without the database's folder every UPDATE is answered SERVFAIL.
        (self.folder / "db").mkdir(exist_ok=True)
        for zone in self.zones:
            (self.folder / f"{zone}.zone").write_text(self.zone_file(zone))
        (self.folder / "knot.conf").write_text(self._configuration())

    def command(self) -> list[str]:
        return [find_program("knotd", "knot"), "-c", str(self.folder / "knot.conf")]

    def role(self) -> Role:
        """Return what makes it a primary or a secondary."""
        return Role(sections="", template="", actions="update, transfer")

    def _configuration(self) -> str:
        zones = "\n".join(f"  - domain: {zone}" for zone in self.zones)
        role = self.role()
        return f"""
server:
    rundir: {self.folder}
    listen: {self.address}@{self.port}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 2
log:
  - target: stderr
    any: info
database:
    storage: {self.folder}/db
    journal-db-max-size: 64M
    kasp-db-max-size: 16M
    timer-db-max-size: 16M
    catalog-db-max-size: 16M
key:
  - id: {self.key_name}
    algorithm: {self.key_algorithm}
    secret: {self.secret_text}
{role.sections}
acl:
  - id: ddnsd
    key: {self.key_name}
    action: [{role.actions}]
template:
  - id: default
    storage: {self.folder}
    file: "%s.zone"
    acl: ddnsd
    zonefile-sync: -1
{role.template}
zone:
{zones}
"""
