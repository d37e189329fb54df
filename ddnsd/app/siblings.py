"""The metrics of all workers, whichever is asked: each tells its own on a Unix socket of its own."""

import asyncio

from ddnsd.app.worker import Worker
from ddnsd.telemetry.exposition import merged
from ddnsd.telemetry.metrics import Metrics

_PATIENCE_SECONDS = 0.5
_SIZE_OCTETS = 4  # before a text: half of one is none


class Siblings:
    """A worker's way to its siblings."""

    def __init__(self, worker: Worker, metrics: Metrics) -> None:
        self._worker = worker
        self._metrics = metrics

    async def listen(self) -> asyncio.Server:
        """Tell each sibling that asks this worker's own metrics, until the server is closed.

        Raises:
            OSError: the socket cannot be made.
        """
        return await asyncio.start_unix_server(self._tell, self._worker.socket_path(self._worker.number))

    async def exposition(self) -> bytes:
        """Return the metrics of all workers; one that does not answer in time is left out and counted."""
        siblings = self._worker.siblings
        texts = dict(zip(siblings, await asyncio.gather(*map(self._ask, siblings)), strict=True))
        for _ in filter(lambda text: text is None, texts.values()):
            self._metrics.worker_unanswered()
        texts[self._worker.number] = self._metrics.text()
        return merged({number: text for number, text in sorted(texts.items()) if text is not None})

    async def _ask(self, number: int) -> bytes | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._worker.socket_path(number))
                try:
                    size = int.from_bytes(await reader.readexactly(_SIZE_OCTETS), "big")
                    return await reader.readexactly(size)
                finally:
                    writer.close()
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            return None

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = self._metrics.text()
        writer.write(len(text).to_bytes(_SIZE_OCTETS, "big") + text)
        writer.close()  # when all is written
