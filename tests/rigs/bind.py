"""BIND 9 (https://bind9.readthedocs.io/en/v9.18.28/reference.html)."""

import signal
from base64 import b64encode
from collections.abc import Mapping
from types import MappingProxyType

from tests.rigs.base import NameserverRig
from tests.rigs.process import find_program
from tests.waiting import until

_RECONFIGURED = "running"  # what the log says last, after a start and after each new configuration
_PATIENCE = 10.0  # seconds


class BindRig(NameserverRig):
    """named, with the journals of its zones in the rig's folder."""

    more_keys: Mapping[str, bytes] = MappingProxyType({})  # secrets by name, of keys that may do the same

    def prepare(self) -> None:
        for zone in self.zones:
            (self.folder / f"{zone}.zone").write_text(self.zone_file(zone))
        self.prepare_configuration()

    def prepare_configuration(self) -> None:
        (self.folder / "named.conf").write_text(self._configuration())

    async def reconfigure(self) -> None:
        """Go on with the keys of now, without a pause; return when it does."""
        assert self._process is not None
        before = self.log_text().count(_RECONFIGURED)
        self.prepare_configuration()
        self._process.signal(signal.SIGHUP)
        await until(lambda: self.log_text().count(_RECONFIGURED) > before, what=self.log_text)

    def command(self) -> list[str]:
        # -f, not -g: with -g the log could not go by category into a file.
        program = find_program("named", "bind9")
        return [program, "-f", "-4", "-c", str(self.folder / "named.conf")]

    def role(self, keys: str) -> str:
        """Return the statements that make it a zone's primary, or a secondary; `keys` may use it."""
        return f"type primary; check-names ignore; allow-update {{ {keys} }};"

    def _configuration(self) -> str:
        secrets = {self.key_name: self.key_secret, **self.more_keys}
        allowed = " ".join(f'key "{name}";' for name in secrets)
        keys = "\n".join(
            f'key "{name}" {{ algorithm {self.key_algorithm}; secret "{b64encode(secret).decode()}"; }};'
            for name, secret in secrets.items()
        )
        zones = "\n".join(
            f'zone "{zone}" {{ file "{zone}.zone"; allow-transfer {{ {allowed} }}; {self.role(allowed)} }};'
            for zone in self.zones
        )
        return f"""
            {keys}
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
