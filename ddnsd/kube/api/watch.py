"""A watch: one answer that goes on, a line for each event."""

import asyncio

from ddnsd.kube.api.connection import Answer
from ddnsd.kube.api.errors import MalformedError, UnavailableError
from ddnsd.kube.api.objects import Event, decode_events

_MOST = 8 << 20  # bytes of one line; etcd holds objects up to 1.5 MiB


class Watch:
    """Events in the order of their resourceVersions; for one reader."""

    def __init__(self, answer: Answer, title: str, silence: float) -> None:
        """Read an answer; it is given up when it says nothing for `silence` seconds."""
        self._answer = answer
        self._title = title
        self._silence = silence
        self._begun = b""  # of a line whose end has not come yet

    async def read(self) -> tuple[Event, ...]:
        """Return the next events, one or more; () when the API server has ended the watch in order.

        Raises:
            ExpiredError: changes since the resourceVersion are no longer known: list again.
            UnavailableError: the connection was lost, or says nothing.
            KubeError: the watch failed otherwise.
        """
        while True:
            chunk = await self._read_chunk()
            if not chunk:
                return ()
            *lines, self._begun = (self._begun + chunk).split(b"\n")
            if len(self._begun) > _MOST:
                raise MalformedError(f"{self._title}: an event of more than {_MOST} bytes")
            if lines:
                return decode_events(lines, self._title)

    async def _read_chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await self._answer.read()
        except TimeoutError:
            raise UnavailableError(f"{self._title}: silent for {self._silence:g} s") from None
