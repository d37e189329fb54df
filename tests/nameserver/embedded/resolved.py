"""A program, run in a network namespace of its own: a resolver that a parent leads to the nameserver.

It prints the code and the number of records of four answers. Its arguments are a folder, BIND's named, and
what the nameserver's own addresses are: asked or none.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from tests.nameserver.embedded.conftest import CONTENTS
from tests.waiting import until

NAMESERVER, RESOLVER, PORT = "10.0.0.53", "10.0.0.1", 5353
CONFIGURATION = """
options {{
    directory "{folder}"; pid-file none; listen-on port 5353 {{ {resolver}; }}; listen-on-v6 {{ none; }};
    query-source address {resolver}; recursion yes; dnssec-validation no; allow-recursion {{ any; }};
}};
zone "." {{ type primary; file "root.zone"; }};
"""
# The parent's own names for the nameserver: resolvers take those of the zone itself once they have seen them.
ROOT = f"""$TTL 3600
. IN SOA a.root. root. 1 3600 600 604800 60
. IN NS a.root.
a.root. IN A {RESOLVER}
example.com. IN NS parents.name.
parents.name. IN A {NAMESERVER}
"""


async def ask(name: str, rdtype: str) -> str:
    query = dns.message.make_query(name, rdtype)
    answer = await dns.asyncquery.udp(query, RESOLVER, port=PORT, timeout=10)
    return f"{dns.rcode.to_text(answer.rcode())} {len(answer.answer)}"


async def until_answered() -> None:
    async def answers() -> bool:
        try:
            await dns.asyncquery.udp(dns.message.make_query(".", "SOA"), RESOLVER, port=PORT, timeout=0.1)
        except (dns.exception.Timeout, OSError):
            return False
        return True

    await until(answers, 30, "the resolver answers")


async def main(folder: Path, named: str, addresses: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in (NAMESERVER, RESOLVER):
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    settings = EmbeddedSettings(
        name="resolved",
        listen=(("0.0.0.0", 53),),
        folder=folder,
        addresses=() if addresses == "none" else None,
    )
    (folder / "root.zone").write_text(ROOT)
    (folder / "named.conf").write_text(CONFIGURATION.format(folder=folder, resolver=RESOLVER))
    resolver = subprocess.Popen(
        [named, "-g", "-4", "-c", str(folder / "named.conf")], stderr=subprocess.DEVNULL
    )
    try:
        await until_answered()
        server = await EmbeddedNameserver.start(settings, ["example.com"])
        await server.open("example.com", CONTENTS)
        for name, rdtype in (
            ("blog.example.com", "A"),
            ("example.com", "NS"),
            ("deep.below.example.com", "A"),
            ("blog.example.com", "AAAA"),
        ):
            print(await ask(name, rdtype))
        await server.close()
    finally:
        resolver.kill()
        resolver.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
