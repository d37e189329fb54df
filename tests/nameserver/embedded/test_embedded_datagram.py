"""UDP: the address that answers, and answers that cannot leave."""

import asyncio
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dns.message
import pytest

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.embedded.answer import Peer
from ddnsd.nameserver.embedded.transports import DatagramService
from tests.nameserver.embedded.conftest import CONTENTS
from tests.waiting import until

QUERY = dns.message.make_query("blog.example.com", "A").to_wire()
SEVERAL = ("127.0.0.1", "127.0.0.9", "127.9.9.9")


async def exchange(
    server: tuple[str, int], family: socket.AddressFamily = socket.AF_INET, source: str = ""
) -> bytes:
    """Ask from a socket that takes no answer but that of the address it has asked, as resolvers do."""
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.bind((source, 0))
        client.connect(server)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, QUERY)
        return await asyncio.wait_for(loop.sock_recv(client, 65535), 5)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.9"])
async def test_an_answer_leaves_from_the_address_that_was_asked(
    settings: EmbeddedSettings, host: str
) -> None:
    server = await EmbeddedNameserver.start(replace(settings, listen=((host, 0), ("::", 0))), ["example.com"])
    await server.open("example.com", CONTENTS)
    (_, port), (_, port6) = server.addresses
    for asked in SEVERAL if host == "0.0.0.0" else (host,):
        assert dns.message.from_wire(await exchange((asked, port))).answer
    assert dns.message.from_wire(await exchange(("::1", port6), socket.AF_INET6)).answer
    await server.close()


async def test_who_answers_knows_both_ends() -> None:
    seen: list[Peer] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("0.0.0.0", 0))
        bound.setblocking(False)

        def respond(wire: bytes, peer: Peer) -> bytes:
            seen.append(peer)
            return wire

        service = DatagramService(bound, respond)
        assert await exchange(("127.0.0.9", bound.getsockname()[1])) == QUERY
        service.close()
        service.close()
    assert [peer.asked for peer in seen] == ["127.0.0.9"]
    assert seen[0].source.startswith("127.")


async def test_answers_are_dropped_while_none_can_leave_and_leave_again_later() -> None:
    """On a socket of the machine's own, as the kernel refuses no datagram on the loopback."""
    bound, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for each in (bound, client):
        each.setblocking(False)
    asked = answered = 0

    def respond(wire: bytes, _: Peer) -> bytes:
        nonlocal asked
        asked += 1
        return wire

    def drain() -> int:
        count = 0
        while True:
            try:
                client.recv(100)
            except BlockingIOError:
                return count
            count += 1

    service = DatagramService(bound, respond)
    loop = asyncio.get_running_loop()
    for _ in range(1000):  # more than a socket's queue holds (net.unix.max_dgram_qlen)
        await loop.sock_sendall(client, b"query")
    await until(lambda: asked == 1000)
    answered = drain()
    assert 0 < answered < 1000
    await loop.sock_sendall(client, b"query")
    await until(lambda: asked == 1001)
    assert drain() == 1
    service.close()
    client.close()


def test_the_same_with_several_addresses_of_both_families(tmp_path: Path) -> None:
    """In a network namespace, where a machine can have any."""
    namespace = ["unshare", "--net", sys.executable, "-m", "tests.nameserver.embedded.several", str(tmp_path)]
    done = subprocess.run(namespace, capture_output=True, text=True, check=False, timeout=60)
    if "Operation not permitted" in done.stderr:
        pytest.skip("no right to make a network namespace")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-4:] == ["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"]
