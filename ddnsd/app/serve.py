"""The life of a process: start a node, wait for a signal or a fallen task, drain, end."""

import asyncio
import signal
from contextlib import AsyncExitStack

import structlog
import uvloop

from ddnsd.app.listeners import ListenError
from ddnsd.app.node import Node
from ddnsd.app.secret import AdminTokenError
from ddnsd.app.tasks import TaskFellError
from ddnsd.config import Settings, remarks
from ddnsd.store.interface import StoreError
from ddnsd.telemetry.logging import configure

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit status."""
    configure(settings.log.format, settings.log.level)
    for remark in remarks(settings):
        _log.warning("config.remark", remark=remark)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_run(settings))
        except (ListenError, AdminTokenError, StoreError, OSError, ValueError) as error:
            _log.error("start.failed", reason=str(error))
            return 1
        except TaskFellError:
            return 70  # EX_SOFTWARE; whoever supervises the process starts it anew
    return 0


async def _run(settings: Settings) -> None:
    stopped = asyncio.create_task(_stop_signal(), name="signals")
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(Node.start(settings, stack), name="start")
        await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return
        node = starting.result()
        fallen = asyncio.create_task(node.supervisor.fallen(), name="supervisor")
        await asyncio.wait([fallen, stopped], return_when=asyncio.FIRST_COMPLETED)
        await node.drain()
        if fallen.done():
            fallen.result()
        fallen.cancel()


async def _stop_signal() -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
