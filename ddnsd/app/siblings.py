"""What workers ask of each other, each on a Unix socket of its own.

They ask for metrics and refused attempts, whether one is ready, and that it retires. A question is one line,
a word; its answer is a text with its size before it. One connection is for one question.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from ddnsd.app.worker import Worker
from ddnsd.service.limits import RefusedAttempt, RefusedAttempts
from ddnsd.telemetry.exposition import merged
from ddnsd.telemetry.metrics import Metrics

_PATIENCE_SECONDS = 0.5
_SIZE_OCTETS = 4  # before a text: half of one is none
_METRICS, _READY, _REFUSED, _RETIRE = b"metrics\n", b"ready\n", b"refused\n", b"retire\n"
_YES, _NO = b"yes", b"no"

_decode = msgspec.json.Decoder(tuple[RefusedAttempt, ...]).decode


class Siblings:
    """A worker's way to its siblings. It answers them from `listen` on, and retires only once it serves."""

    def __init__(self, worker: Worker, metrics: Metrics) -> None:
        self._worker = worker
        self._metrics = metrics
        self._is_ready: Callable[[], bool] = lambda: False
        self._refused = RefusedAttempts()
        self._retire: Callable[[], None] = lambda: None

    async def listen(self, is_ready: Callable[[], bool]) -> asyncio.Server:
        """Do what siblings ask, until the server is closed.

        `is_ready` says whether this worker should get requests.

        Raises:
            OSError: the socket cannot be made.
        """
        self._is_ready = is_ready
        return await asyncio.start_unix_server(self._answer, self._worker.socket_path(self._worker.number))

    def serve(self, refused: RefusedAttempts, retire: Callable[[], None]) -> None:
        """Show what this worker refuses; retire when asked to, at once if that was asked before.

        `retire` makes this worker retire; it may be called more than once.
        """
        self._refused, self._retire = refused, retire
        if self._worker.retired_path.exists():  # it is made before anybody is asked: no question is missed
            retire()

    async def exposition(self) -> bytes:
        """Return the metrics of all workers; one that does not answer in time is left out and counted."""
        texts = await self._ask_all(_METRICS)
        for _ in filter(lambda text: text is None, texts.values()):
            self._metrics.worker_unanswered()
        everybodys = {**texts, self._worker.number: self._metrics.text()}
        return merged({number: text for number, text in sorted(everybodys.items()) if text is not None})

    async def is_any_ready(self) -> bool:
        """Say whether a sibling should get requests, of those that answer in time."""
        return _YES in (await self._ask_all(_READY)).values()

    async def refused(self) -> Sequence[RefusedAttempt]:
        """Return what all workers have refused lately, without one that does not answer in time."""
        texts = await self._ask_all(_REFUSED)
        others = [attempt for text in texts.values() if text is not None for attempt in _decode(text)]
        return (*self._refused.all(), *others)

    async def retire(self) -> None:
        """Make all siblings retire, those too that will be started in the place of one that falls.

        One that does not answer in time does so once it goes on: the question waits in its socket.
        """
        self._worker.retired_path.touch()
        await self._ask_all(_RETIRE)

    async def _ask_all(self, question: bytes) -> Mapping[int, bytes | None]:
        """Return the answer of each sibling by its number, None of one that gives none in time."""
        siblings = self._worker.siblings
        answers = await asyncio.gather(*(self._ask(number, question) for number in siblings))
        return dict(zip(siblings, answers, strict=True))

    async def _ask(self, number: int, question: bytes) -> bytes | None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._worker.socket_path(number))
                try:
                    writer.write(question)
                    size = int.from_bytes(await reader.readexactly(_SIZE_OCTETS), "big")
                    return await reader.readexactly(size)
                finally:
                    writer.close()
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            text = self._do(await reader.readline())
            writer.write(len(text).to_bytes(_SIZE_OCTETS, "big") + text)
        except ConnectionError:
            pass  # who asked has gone
        finally:
            writer.close()  # when all is written

    def _do(self, question: bytes) -> bytes:
        """Return the answer; a question that was cut off, by the end of who asked, is none."""
        if question == _METRICS:
            return self._metrics.text()
        if question == _READY:
            return _YES if self._is_ready() else _NO
        if question == _REFUSED:
            return msgspec.json.encode(self._refused.all())
        if question == _RETIRE:
            self._retire()
        return b""
