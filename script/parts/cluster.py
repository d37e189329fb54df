"""All parts, their processes, and what becomes of these."""

import asyncio
import os
import signal
import socket
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from parts.bind import Bind
from parts.layout import ADDRESS, Layout
from parts.member import members
from parts.node import LEASE_TTL, Node, nodes
from parts.part import Part

_START = 60.0  # seconds that a part may take, on a busy machine
_TERMINATION = 20.0  # more than a node's drain.timeout
_POLL = 0.1
_LOG_LINES = 8  # of a part that does not start


class NotStartedError(Exception):
    """A part cannot be started; the message says why."""


class Ended(NamedTuple):
    """A part's process ended by itself, or was killed."""

    part: Part
    process: Process

    def __str__(self) -> str:
        status = self.process.returncode
        assert status is not None
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"{self.part.name} (process {self.process.pid}) ended: {how}"


class Cluster:
    """The parts. Whatever happens, `end` it. What ended waits in `ended`."""

    def __init__(self, layout: Layout, environ: Mapping[str, str]) -> None:
        self.layout = layout
        self.members = members(layout)
        self.bind = Bind(layout)
        self.nodes = nodes(layout)
        self.ended: asyncio.Queue[Ended] = asyncio.Queue()
        # What is set for one node is not meant for three.
        self.environ = {name: value for name, value in environ.items() if not name.startswith("DDNSD_")}
        self._processes: dict[Part, Process] = {}
        self._watches: set[asyncio.Task[None]] = set()

    def pid(self, part: Part) -> int:
        """Return the id of its process."""
        return self._processes[part].pid

    def runs(self, part: Part) -> bool:
        """Say whether its process runs."""
        process = self._processes.get(part)
        return process is not None and process.returncode is None

    async def start(self) -> None:
        """Start what does not run, the nodes last, and wait until it is ready.

        Raises:
            NotStartedError: a port is taken, or a part is not ready in time.
        """
        for stage in ((*self.members, self.bind), self.nodes):
            resting = [part for part in stage if not self.runs(part)]
            for part in resting:
                _check_ports(part)
            for part in resting:
                await self._launch(part)
            await asyncio.gather(*map(self._ready, resting))

    async def leader(self) -> Node | None:
        """Return the node that leads, once there is one; None if there is none in time."""
        deadline = time.monotonic() + 2 * LEASE_TTL
        while time.monotonic() < deadline:
            running = [node for node in self.nodes if self.runs(node)]
            leading = await asyncio.gather(*(node.leads() for node in running))
            if True in leading:
                return running[leading.index(True)]
            await asyncio.sleep(_POLL)
        return None

    async def end(self) -> None:
        """End all processes: the nodes first, to let them say goodbye; the members one by one.

        A member that leads hands over to one that is there, or else waits for seconds.
        """
        stages: list[Sequence[Part]] = [self.nodes, [self.bind], *([member] for member in self.members)]
        for stage in stages:
            await asyncio.gather(*(self._end(part) for part in stage if self.runs(part)))

    async def _launch(self, part: Part) -> None:
        part.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.prepare()
        with (part.folder / "log").open("ab") as log:
            # A group of its own: a Ctrl-C reaches `make cluster` alone, which ends all in their order.
            process = await asyncio.create_subprocess_exec(
                *part.command(), stdin=DEVNULL, stdout=log, stderr=STDOUT, env=self.environ, process_group=0
            )
        self._processes[part] = process
        watch = asyncio.create_task(self._watch(part, process))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, part: Part, process: Process) -> None:
        await process.wait()
        self.ended.put_nowait(Ended(part, process))

    async def _ready(self, part: Part) -> None:
        deadline = time.monotonic() + _START
        while not await part.is_ready():
            if not self.runs(part) or time.monotonic() > deadline:
                raise NotStartedError(f"{part.name} does not start; its log ends with:\n{_log_end(part)}")
            await asyncio.sleep(_POLL)

    async def _end(self, part: Part) -> None:
        process = self._processes[part]
        process.send_signal(signal.SIGCONT)  # somebody may have stopped it, to see what happens
        process.terminate()
        try:
            async with asyncio.timeout(_TERMINATION):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _check_ports(part: Part) -> None:
    for port in part.ports:
        with socket.socket() as listener:
            # As the servers do: a connection in TIME_WAIT is no obstacle, a listener is.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((ADDRESS, port))
            except OSError as error:
                reason = f"{part.name} needs port {port} ({os.strerror(error.errno or 0)})"
                raise NotStartedError(
                    f"{reason}: is another one running? CLUSTER_PORT moves all ports"
                ) from error


def _log_end(part: Part) -> str:
    lines: Sequence[str] = (part.folder / "log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:])
