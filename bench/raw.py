"""BIND fed by a plain dnspython program: what the publisher is measured against."""

import socket
import time
from collections.abc import Sequence

import dns.query
import dns.rcode
import dns.tsig
import dns.update

from bench.load import WrongAnswerError
from tests.rigs.base import NameserverRig

_FENCE = "_fence"
_FENCE_TEXT = '"ddnsd1 installation=0123456789abcdef cluster=0123456789abcdef epoch=1 claim=0123456789abcdef"'
_TIMEOUT_SECONDS = 10


class RawFeed:
    """One zone of a rig, one UPDATE in flight; each signed, each fenced."""

    def __init__(self, rig: NameserverRig, zone: str) -> None:
        self._address = (rig.address, rig.port)
        self._zone = zone
        self._key = dns.tsig.Key(rig.key_name, rig.key_secret, rig.key_algorithm)
        fence = dns.update.UpdateMessage(zone, keyring=self._key)
        fence.replace(_FENCE, 60, "TXT", _FENCE_TEXT)
        with self._connected() as connection:
            self._send(fence, connection)

    def replace(self, hosts: Sequence[str], ttl: int, ip: str, batch: int) -> float:
        """Replace the A RRset of every host, `batch` of them in one UPDATE; return records a second.

        All on one connection. It is not kept for the next time: BIND closes it after 30 s.

        Raises:
            WrongAnswerError: the nameserver refused an UPDATE.
        """
        with self._connected() as connection:
            started = time.perf_counter()
            for start in range(0, len(hosts), batch):
                update = dns.update.UpdateMessage(self._zone, keyring=self._key)
                update.present(_FENCE, "TXT", _FENCE_TEXT)
                for host in hosts[start : start + batch]:
                    update.replace(f"{host}.", ttl, "A", ip)
                self._send(update, connection)
            return len(hosts) / (time.perf_counter() - started)

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(self._address)
        connection.setblocking(False)  # dnspython waits by itself
        return connection

    def _send(self, update: dns.update.UpdateMessage, connection: socket.socket) -> None:
        host, port = self._address
        answer = dns.query.tcp(update, host, _TIMEOUT_SECONDS, port, sock=connection)
        if answer.rcode() != dns.rcode.NOERROR:
            raise WrongAnswerError(f"raw UPDATE: {dns.rcode.to_text(answer.rcode())}")
