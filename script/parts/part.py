"""What all parts of a local cluster have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from parts.layout import Layout

ANSWER = 1.0  # seconds


class Part(ABC):
    """One program of the cluster, with a folder of the same name."""

    def __init__(self, layout: Layout, name: str, ports: Sequence[int]) -> None:
        self.layout = layout
        self.name = name
        self.ports = ports
        self.folder = layout.data / name

    @abstractmethod
    def prepare(self) -> None:
        """Write its configuration; its data stay."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that runs it in the foreground."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Ask it."""


async def fetch(url: str) -> bytes:
    """Return what is there; nothing if there is no answer 200."""
    try:
        return (await AsyncHTTPClient().fetch(url, request_timeout=ANSWER)).body
    except (HTTPClientError, OSError):
        return b""
