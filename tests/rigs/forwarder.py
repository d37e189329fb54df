"""A program that forwards IPv4 packets between TUN interfaces, each after its link's delay (run by wan.py).

    python forwarder.py LINK…

makes one interface for each LINK, in this order, and prints a line. The two highest bits of an address's
last byte are the number of the link that it is behind. Each line of the standard input, JSON, is the delays
from here on: for each link a list with one for each link, one way in seconds, or null for "lost"; each is
answered by a line. Until the first one everything is lost. It ends when the input does.

It stands in for `tc netem`, which many kernels are built without.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import struct
import sys
from collections.abc import Sequence

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_SOURCE, _DESTINATION = 15, 19  # the last bytes of an IPv4 header's addresses (RFC 791 §3.1)
_LARGEST = 65536  # bytes of a packet


class Forwarder:
    """Reads from each interface, and writes to the one of the packet's destination."""

    def __init__(self, links: Sequence[str]) -> None:
        self._files = [_tun(link) for link in links]
        self._delays: Sequence[Sequence[float | None]] = [[None] * len(links)] * len(links)

    async def run(self) -> None:
        """Serve until the standard input ends."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for file in self._files:
            loop.add_reader(file, self._read, file)
        loop.add_reader(sys.stdin, self._obey, ended)
        print(flush=True)
        await ended.wait()

    def _obey(self, ended: asyncio.Event) -> None:
        line = sys.stdin.readline()
        if not line:
            ended.set()
            return
        self._delays = json.loads(line)
        print(flush=True)

    def _read(self, file: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._forward(os.read(file, _LARGEST))

    def _forward(self, packet: bytes) -> None:
        if packet[0] >> 4 != 4:  # IPv6: a kernel's own multicast
            return
        link = packet[_DESTINATION] >> 6
        delay = self._delays[packet[_SOURCE] >> 6][link]
        if delay is not None:
            asyncio.get_running_loop().call_later(delay, os.write, self._files[link], packet)


def _tun(link: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", link.encode(), _IFF_TUN | _IFF_NO_PI))
    return file


if __name__ == "__main__":
    asyncio.run(Forwarder(sys.argv[1:]).run())
