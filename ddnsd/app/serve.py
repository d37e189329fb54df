"""The life of a process: start a node, wait for a signal or a fallen task, drain, end."""

import asyncio
import functools
import os
import shutil
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from ddnsd.aio import TaskFellError, cancel
from ddnsd.app.admin_token import AdminTokenError
from ddnsd.app.bootstrap import Bootstrap, Role, prepare
from ddnsd.app.node import Node
from ddnsd.app.reloader import Reloader, configuration
from ddnsd.app.startup import Startup
from ddnsd.app.workers import BLOCKED, CANNOT_START, STOP_SIGNALS, PreforkSupervisor, Worker
from ddnsd.config import Settings, SettingsSource, warnings
from ddnsd.store.interface import StoreError
from ddnsd.telemetry.logging import configure

if TYPE_CHECKING:
    from ddnsd.app.controller import ControllerProcess

Running = Coroutine[Any, Any, None]

_log = structlog.get_logger(__name__)

_EXPECTED = (AdminTokenError, StoreError, OSError, ValueError)  # their messages say what to do


def serve(source: SettingsSource, settings: Settings, role: Role) -> int:
    """Run a node until SIGTERM or SIGINT, in one process or several; return the exit status.

    It starts with the settings, and takes over what the source, of which they are, says later.
    """
    configure(settings.log.format, settings.log.level)
    for warning in warnings(settings):
        _log.warning("config.remark", remark=warning)
    try:
        bootstrap = prepare(settings, role)
    except _EXPECTED as error:
        _log.error("start.failed", reason=str(error))
        return CANNOT_START
    run = functools.partial(_run, source, settings, bootstrap, role)
    if settings.workers == 1 or role is Role.CONTROLLER:
        return _live(run(None))
    work = functools.partial(_work, run)
    return PreforkSupervisor(settings.workers, work, bootstrap.leave).keep()


def _work(run: Callable[[Worker], Running], worker: Worker) -> int:
    structlog.contextvars.bind_contextvars(worker=worker.number)
    status = _live(run(worker))
    if os.getppid() != worker.parent:  # it was killed, and cannot remove the folder
        shutil.rmtree(worker.folder, ignore_errors=True)
    return status


def _live(running: Running) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(running)
        except _EXPECTED as error:
            _log.error("start.failed", reason=str(error))
            return CANNOT_START
        except TaskFellError:
            return os.EX_SOFTWARE  # its supervisor starts it again
    return 0


async def _run(
    source: SettingsSource, settings: Settings, bootstrap: Bootstrap, role: Role, worker: Worker | None
) -> None:
    reloader = Reloader(source, configuration(settings, bootstrap.admin_tokens))
    reloader.follow(lambda: _configure_log(reloader))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.look_now)
    stopped = asyncio.create_task(_stop_sign(worker), name="signals")
    async with AsyncExitStack() as stack:
        reloading = asyncio.create_task(reloader.run(), name="configuration")
        stack.push_async_callback(cancel, reloading)
        startup = await Startup.open(reloader, bootstrap, worker, stack)
        startup.supervisor.keep(reloading)
        fallen = asyncio.create_task(startup.supervisor.fallen(), name="supervisor")
        try:
            await _serve(role, startup, stack, stopped, fallen)
        finally:
            await cancel(fallen)  # before the stack ends the tasks that it looks at


async def _serve(
    role: Role,
    startup: Startup,
    stack: AsyncExitStack,
    stopped: asyncio.Task[bool],
    fallen: asyncio.Task[None],
) -> None:
    """Start, serve until stopped or until a task falls, and drain."""
    starting = asyncio.create_task(_begin(role, startup, stack), name="start")
    await asyncio.wait([starting, stopped, fallen], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        node = starting.result()
        await asyncio.wait([fallen, stopped], return_when=asyncio.FIRST_COMPLETED)
        others_go_on = startup.worker is not None and not (stopped.done() and stopped.result())
        await node.drain(others_go_on=others_go_on)
    else:
        await cancel(starting)
    if fallen.done():
        fallen.result()


async def _begin(role: Role, startup: Startup, stack: AsyncExitStack) -> "Node | ControllerProcess":
    if role is Role.CONTROLLER:
        from ddnsd.app.controller import ControllerProcess  # as in Node.start

        return await ControllerProcess.start(startup, stack)
    return await Node.start(startup, stack, controls=role.controls)


def _configure_log(reloader: Reloader) -> None:
    log = reloader.configuration.settings.log
    configure(log.format, log.level)


async def _stop_sign(worker: Worker | None) -> bool:
    """Wait for SIGTERM, SIGINT, or the sign to all workers; return whether no worker goes on."""
    loop = asyncio.get_running_loop()
    sign: asyncio.Future[bool] = loop.create_future()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, _give, sign, worker is None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
    if worker is None:
        return await sign
    loop.add_reader(worker.lifeline, _give, sign, True)
    try:
        return await sign
    finally:
        loop.remove_reader(worker.lifeline)


def _give(sign: asyncio.Future[bool], nobody_goes_on: bool) -> None:
    if not sign.done():
        sign.set_result(nobody_goes_on)
