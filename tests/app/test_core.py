"""A process whose state stands still: what it says of itself until it ends. Minutes pass at once."""

import asyncio
from pathlib import Path

import pytest

from ddnsd.aio import TaskFellError
from ddnsd.app.bootstrap import Bootstrap
from ddnsd.app.core import Core
from ddnsd.app.reloader import Reloader, configuration
from ddnsd.app.startup import Startup
from ddnsd.app.watchdog import StandsStillError
from ddnsd.config import SettingsSource
from ddnsd.store.embedded import open_embedded
from tests.app.test_reloader import settings_of
from tests.rigs.virtual import pass_time, run_virtually
from tests.store.contract.actions import put
from tests.store.deaf import DeafStore
from tests.tasks import running

LEASE_TTL = 5  # that a store without leases counts with


@pytest.mark.logs_errors
def test_it_is_unready_after_two_lease_ttl_and_ends_after_a_minute(tmp_path: Path) -> None:
    run_virtually(_deaf(tmp_path))


async def _deaf(folder: Path) -> None:
    real = await open_embedded(folder / "store")
    core = _core(folder, DeafStore(real, deaf=range(1000)))
    loop = asyncio.get_running_loop()
    async with running(core.cache.run()):
        await core.cache.loaded()
        await put(real, "anything")
        began = loop.time()
        core.supervisor.start("state", core.supervise())
        fallen = asyncio.create_task(core.supervisor.fallen())
        shown: dict[str, float] = {}
        while not fallen.done():
            for kind, texts in (("reasons", core.reasons_against()), ("notes", core.notes())):
                if any("stands still at revision" in text for text in texts):
                    shown.setdefault(kind, loop.time() - began)
            await pass_time(0.5)
        ended = loop.time() - began
        with pytest.raises(TaskFellError) as caught:
            await fallen
    assert isinstance(caught.value.__cause__, StandsStillError)
    assert LEASE_TTL <= shown["notes"] < 2 * LEASE_TTL <= shown["reasons"] < 2 * LEASE_TTL + 5
    assert 60 <= ended < 65
    last_end = core.last_end.read()
    assert last_end is not None
    assert last_end.reason == str(caught.value.__cause__)
    await core.supervisor.stop()
    await real.close()


def _core(folder: Path, store: DeafStore) -> Core:
    path = folder / "config.yaml"
    path.write_text(f"data: {folder}")
    source = SettingsSource(path, {})
    reloader = Reloader(source, configuration(settings_of(source), ()))
    return Core(Startup(reloader, Bootstrap({}, ()), None), store)
