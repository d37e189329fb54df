"""BIND fed by a plain dnspython program: what the publisher is measured against."""

import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import dns.query
import dns.rcode
import dns.tsig
import dns.update

from tests.rigs.base import NameserverRig

from .load import WrongAnswerError

_FENCE = "_fence"
_FENCE_TEXT = '"ddnsd1 installation=0123456789abcdef cluster=0123456789abcdef epoch=1 claim=0123456789abcdef"'
_TIMEOUT_SECONDS = 10


class RawFeed:
    """One zone of a rig, one kept connection, one UPDATE in flight; each signed, each fenced."""

    def __init__(self, rig: NameserverRig, zone: str) -> None:
        self._address = (rig.address, rig.port)
        self._zone = zone
        self._key = dns.tsig.Key(rig.key_name, rig.key_secret, rig.key_algorithm)
        self._socket = socket.create_connection(self._address)
        self._socket.setblocking(False)  # dnspython waits by itself
        fence = dns.update.UpdateMessage(zone, keyring=self._key)
        fence.replace(_FENCE, 60, "TXT", _FENCE_TEXT)
        self._send(fence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def replace(self, hosts: Sequence[str], ttl: int, ip: str, batch: int) -> float:
        """Replace the A RRset of every host, `batch` of them in one UPDATE; return records a second.

        Raises:
            WrongAnswerError: the nameserver refused an UPDATE.
        """
        started = time.perf_counter()
        for start in range(0, len(hosts), batch):
            update = dns.update.UpdateMessage(self._zone, keyring=self._key)
            update.present(_FENCE, "TXT", _FENCE_TEXT)
            for host in hosts[start : start + batch]:
                update.replace(f"{host}.", ttl, "A", ip)
            self._send(update)
        return len(hosts) / (time.perf_counter() - started)

    def _send(self, update: dns.update.UpdateMessage) -> None:
        host, port = self._address
        answer = dns.query.tcp(update, host, _TIMEOUT_SECONDS, port, sock=self._socket)
        if answer.rcode() != dns.rcode.NOERROR:
            raise WrongAnswerError(f"raw UPDATE: {dns.rcode.to_text(answer.rcode())}")
