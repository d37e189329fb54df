"""Writes the objects' `status`, as many a second as is allowed, errors first."""

import asyncio
from collections.abc import Callable

import structlog

from ddnsd.kube.api import Client, ConflictError, KubeError, NotFoundError
from ddnsd.kube.objects import MANAGER, RESOURCES, Custom, Ref
from ddnsd.kube.queue import StatusQueue
from ddnsd.kube.status import ObjectStatus
from ddnsd.kube.verdict import to_write
from ddnsd.model.resources import API_VERSION
from ddnsd.telemetry.kube import KubeMetrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


class Scribe:
    """Writes what `compose` says of each object in the queue. Run `run()` as a task of its own."""

    def __init__(
        self,
        client: Client,
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
        except (NotFoundError, ConflictError):
            return True  # it is gone, or is another object of the same name, which will have its turn
        except KubeError as error:
            _log.warning("kube.status_unwritten", object=str(custom.ref), reason=str(error))
            return False
        self._metrics.status_written()
        return True
