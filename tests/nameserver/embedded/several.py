"""A program, run in a network namespace of its own: a nameserver on a machine with several addresses.

It prints each address that answers from itself. Its only argument is a folder.
"""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from tests.nameserver.embedded.conftest import CONTENTS
from tests.nameserver.embedded.test_embedded_datagram import exchange

ADDRESSES = {
    "10.0.0.1": socket.AF_INET,
    "10.0.0.2": socket.AF_INET,
    "fd00::1": socket.AF_INET6,
    "fd00::2": socket.AF_INET6,
}


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True)


async def main(folder: Path) -> None:
    ip("link", "set", "lo", "up")
    for address, family in ADDRESSES.items():
        ip("address", "add", f"{address}/{'32' if family == socket.AF_INET else '128'}", "dev", "lo")
    settings = EmbeddedSettings(name="several", listen=(("0.0.0.0", 53), ("::", 53)), folder=folder)
    server = await EmbeddedNameserver.start(settings, ["example.com"])
    await server.open("example.com", CONTENTS)
    clients = {socket.AF_INET: "10.0.0.1", socket.AF_INET6: "fd00::1"}
    for address, family in ADDRESSES.items():
        await exchange((address, 53), family, clients[family])
        print(address)
    await server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
