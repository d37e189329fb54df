"""Events of Kubernetes, for what an operator should see without looking for it (events.k8s.io/v1)."""

import asyncio
import os
import secrets
import socket
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog

from ddnsd.kube.api import EVENTS, Client, KubeError
from ddnsd.kube.objects import MANAGER

_log = structlog.get_logger(__name__)

_LONGEST_NOTE = 1000  # characters; the API server takes 1024 bytes
_MOST = 10  # that wait while the API server does not answer


class Announcement(NamedTuple):
    """What is told: a reason in one word, and a note for people, without secrets."""

    reason: str
    note: str


class Announcer:
    """Writes warnings about this pod. Run `run()` as a task of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: asyncio.Queue[Announcement] = asyncio.Queue(_MOST)

    def warn(self, reason: str, note: str) -> None:
        """Tell this as soon as the API server takes it; not if much waits already."""
        if not self._waiting.full():
            self._waiting.put_nowait(Announcement(reason, note))

    async def run(self) -> None:
        """Write what there is. Never returns. What is refused stands in the log, and is not tried again."""
        while True:
            announcement = await self._waiting.get()
            try:
                await self._client.create(EVENTS, self._event(announcement), manager=MANAGER)
            except KubeError as error:
                _log.warning("kube.event_unwritten", about=announcement.reason, reason=str(error))

    def _event(self, announcement: Announcement) -> dict[str, Any]:
        namespace, pod = self._client.namespace, socket.gethostname()
        return {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": f"{pod}.{secrets.token_hex(8)}", "namespace": namespace},
            "type": "Warning",
            "reason": announcement.reason,
            "note": announcement.note.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
            "action": "Configuring",
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "ddnsd.dev/controller",
            "reportingInstance": f"{pod}/{os.getpid()}",
            "regarding": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace},
        }
