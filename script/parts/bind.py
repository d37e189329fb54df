"""The nameserver (https://bind9.readthedocs.io/en/v9.18.28/reference.html)."""

import secrets
from base64 import b64encode

import dns.asyncquery
import dns.exception
import dns.message
from example import ZONE, write_secret

from parts.layout import ADDRESS, Layout
from parts.part import ANSWER, Part

_ZONE_FILE = f"""\
$TTL 3600
{ZONE}. SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 60
{ZONE}. NS ns.{ZONE}.
ns.{ZONE}. A {ADDRESS}
"""

_NAMED_CONF = """\
key "ddnsd" {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{
    directory "{folder}";
    listen-on port {port} {{ {address}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    lock-file none;
    session-keyfile none;
    managed-keys-directory "{folder}";
    recursion no;
    notify no;
    dnssec-validation no;
}};
controls {{ }};
zone "{zone}" {{
    type primary;
    file "{zone}.zone";
    allow-update {{ key "ddnsd"; }};
    allow-transfer {{ key "ddnsd"; }};
}};
"""


class Bind(Part):
    """BIND with one zone, which the key may update and transfer."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, "bind", (layout.dns_port,))

    def prepare(self) -> None:
        if not self.layout.secret_file.exists():
            write_secret(self.layout.secret_file, b64encode(secrets.token_bytes(32)).decode() + "\n")
        zone = self.folder / f"{ZONE}.zone"
        if not zone.exists():  # else it is what BIND has made of it
            zone.write_text(_ZONE_FILE)
        secret = self.layout.secret_file.read_text().strip()
        configuration = _NAMED_CONF.format(
            folder=self.folder, secret=secret, port=self.ports[0], address=ADDRESS, zone=ZONE
        )
        write_secret(self.folder / "named.conf", configuration)

    def command(self) -> list[str]:
        return ["named", "-g", "-4", "-c", str(self.folder / "named.conf")]

    async def is_ready(self) -> bool:
        query = dns.message.make_query(ZONE, "SOA", flags=0)
        try:
            answer = await dns.asyncquery.udp(query, ADDRESS, timeout=ANSWER, port=self.ports[0])
        except (dns.exception.DNSException, OSError):
            return False
        return bool(answer.answer)
