"""Writes the objects' `status`, so many a second, errors first; and events (events.k8s.io/v1).

Events are for what an operator should see without looking for it.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from ddnsd.kube.api import EVENTS, ApiClient, ConflictError, KubeError, ObjectNotFoundError
from ddnsd.kube.objects import MANAGER, RESOURCES, Custom, Ref
from ddnsd.kube.status import ObjectStatus
from ddnsd.kube.translate import to_write
from ddnsd.model.resources import API_VERSION
from ddnsd.telemetry.metrics import KubeMetrics


class StatusQueue:
    """A queue of objects, for one reader. What is put again while it waits is written once, as it is then."""

    def __init__(self) -> None:
        self._urgent: dict[Ref, None] = {}
        self._others: dict[Ref, None] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def put(self, ref: Ref, *, urgent: bool = False) -> None:
        """Add an object; an urgent one comes before all that are not."""
        if urgent:
            self._others.pop(ref, None)
            self._urgent[ref] = None
        elif ref not in self._urgent:
            self._others[ref] = None
        self._filled.set()

    async def take(self) -> Ref:
        """Wait for the next object; the one that waits longest, of the urgent ones if there are any."""
        while not (queue := self._urgent or self._others):
            self._filled.clear()
            await self._filled.wait()
        ref = next(iter(queue))
        del queue[ref]
        return ref


_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


class StatusWriter:
    """Writes what `compose` says of each object in the queue. Run `run()` as a task of its own."""

    def __init__(
        self,
        client: ApiClient,
        queue: StatusQueue,
        compose: Callable[[Ref], tuple[Custom, ObjectStatus] | None],
        rate: float,
        metrics: KubeMetrics,
    ) -> None:
        """`compose` returns an object and its status as of now, None if there is nothing to write.

        `rate` bounds the writes of all kinds together, per second.
        """
        self._queue = queue
        self._client = client
        self._compose = compose
        self._pause = 1 / rate
        self._metrics = metrics

    async def run(self) -> None:
        """Write as long as there is something. Never returns."""
        loop = asyncio.get_running_loop()
        while True:
            ref = await self._queue.take()
            self._metrics.waiting(len(self._queue))
            composed = self._compose(ref)
            if composed is None:
                continue
            began = loop.time()
            if not await self._write(*composed):
                self._queue.put(ref)
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(max(0.0, self._pause - (loop.time() - began)))

    async def _write(self, custom: Custom, status: ObjectStatus) -> bool:
        """Write one status; say whether it needs no other try."""
        kind, namespace, name = custom.ref
        document = {
            "apiVersion": API_VERSION,
            "kind": kind.value,
            "metadata": {"namespace": namespace, "name": name, "uid": custom.uid},
            "status": to_write(status),
        }
        try:
            await self._client.apply(
                RESOURCES[kind], document, manager=MANAGER, force=True, subresource="status"
            )
        except (ObjectNotFoundError, ConflictError):
            return True  # it is gone, or is another object of the same name, which will have its turn
        except KubeError as error:
            _log.warning("kube.status_unwritten", object=str(custom.ref), reason=str(error))
            return False
        self._metrics.status_written()
        return True


_LONGEST_NOTE = 1000  # characters; the API server takes 1024 bytes
_MOST = 10  # that wait while the API server does not answer


class EventRecorder:
    """Writes warnings about this pod. Run `run()` as a task of its own."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_MOST)

    def warn(self, reason: str, note: str) -> None:
        """Write this as soon as the API server takes it; drop it if much waits already.

        `reason` is one word, `note` a text for people, without secrets.
        """
        if not self._waiting.full():
            self._waiting.put_nowait((reason, note))

    async def run(self) -> None:
        """Write what there is. Never returns. What is refused is logged, and not tried again."""
        while True:
            reason, note = await self._waiting.get()
            try:
                await self._client.create(EVENTS, self._event(reason, note), manager=MANAGER)
            except KubeError as error:
                _log.warning("kube.event_unwritten", about=reason, reason=str(error))

    def _event(self, reason: str, note: str) -> dict[str, Any]:
        namespace, pod = self._client.namespace, socket.gethostname()
        return {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {"name": f"{pod}.{secrets.token_hex(8)}", "namespace": namespace},
            "type": "Warning",
            "reason": reason,
            "note": note.encode()[:_LONGEST_NOTE].decode(errors="ignore"),
            "action": "Configuring",
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": "ddnsd.dev/controller",
            "reportingInstance": f"{pod}/{os.getpid()}",
            "regarding": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace},
        }
