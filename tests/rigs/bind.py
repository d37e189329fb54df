"""BIND 9 (https://bind9.readthedocs.io/en/v9.18.28/reference.html)."""

from .base import NameserverRig
from .process import find_program


class BindRig(NameserverRig):
    """named, with the journals of its zones in the rig's folder."""

    def prepare(self) -> None:
        for zone in self.zones:
            (self.folder / f"{zone}.zone").write_text(self.zone_file(zone))
        (self.folder / "named.conf").write_text(self._configuration())

    def command(self) -> list[str]:
        # -f, not -g: with -g the log could not go by category into a file.
        program = find_program("named", "bind9")
        return [program, "-f", "-4", "-c", str(self.folder / "named.conf")]

    def _configuration(self) -> str:
        zones = "\n".join(
            f'zone "{zone}" {{ type primary; file "{zone}.zone"; check-names ignore; '
            f'allow-update {{ key "{self.key_name}"; }}; allow-transfer {{ key "{self.key_name}"; }}; }};'
            for zone in self.zones
        )
        return f"""
            key "{self.key_name}" {{ algorithm {self.key_algorithm}; secret "{self.secret_text}"; }};
            options {{
                directory "{self.folder}";
                listen-on port {self.port} {{ {self.address}; }};
                pid-file none; lock-file none; session-keyfile none; managed-keys-directory "{self.folder}";
                recursion no; notify no; dnssec-validation no; empty-zones-enable no;
                update-quota 100; tcp-clients 150;
            }};
            controls {{ }};
            logging {{
                channel file {{
                    file "{self.folder}/log"; severity info; print-category yes; print-time yes;
                }};
                category default {{ file; }};
                category update {{ file; }};
                category update-security {{ file; }};
            }};
            {zones}
        """
