"""`python -m bench.restart [--zones N] [--hosts N]`: a large installation on etcd and BIND comes back.

A node is ended by SIGTERM, and by SIGKILL, and started again. Measured is how long it takes from its start
until it is ready, and from then until its first change is answered; and how long until it has compared all
zones with the nameserver, which it does beside its work. The exit status is 1 where an answer was wrong, a
leader was elected more than once, or a first change came later than promised: 5 s after it was ready, and
after a SIGKILL the lease's TTL more.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ddnsd.store.etcd import EtcdStoreSettings, open_etcd
from tests.rigs.bind import BindRig
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.filled import FilledBind, Names, fill
from tests.system.installation import Installation

_PROMISED_SECONDS = 5.0
_LEASE_TTL = 5
_PATIENCE_SECONDS = 300.0


class Restart:
    """One node, that is ended and started again and again."""

    def __init__(self, ddnsd: Installation, bind: BindRig, names: Names) -> None:
        self._ddnsd = ddnsd
        self._bind = bind
        self._names = names
        self._changes = 0

    async def measure(self, what: str, end: Callable[[], Awaitable[object]], promised: float) -> bool:
        """End the node, start it again, print what came of it; return whether it was as promised."""
        await end()
        elected, compared = len(self._ddnsd.events("leader.elected")), self._compared()
        began = time.perf_counter()
        await self._ddnsd.start()
        await self._until(self._is_ready)
        ready = time.perf_counter()
        await self._change()
        answered = time.perf_counter()
        await self._until(lambda: self._has_compared(compared + len(self._names.zones)))
        done = time.perf_counter()
        elections = len(self._ddnsd.events("leader.elected")) - elected
        print(
            f"{what}: ready after {ready - began:.1f} s, the first change answered {answered - ready:.1f} s "
            f"after that, all zones compared after {done - ready:.0f} s, elections: {elections}"
        )
        return answered - ready <= promised and elections == 1

    async def _change(self) -> None:
        """Have a name changed in the zone that is the last one in every order."""
        self._changes += 1
        name = f"h0.{self._names.zones[-1]}"
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                reply = await self._ddnsd.update(name, f"192.0.2.{self._changes}")
                if reply.status == 200:
                    return
                print(f"  answered {reply.status}: {reply.message}")

    async def _is_ready(self) -> bool:
        return (await self._ddnsd.health.get("/readyz")).status == 200

    async def _has_compared(self, zones: int) -> bool:
        return self._compared() >= zones

    def _compared(self) -> int:
        return self._bind.log_text().count("AXFR ended")

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await condition():
                await asyncio.sleep(0.05)


async def _measure(names: Names, folder: Path) -> bool:
    with EtcdRig(versions()[-1]) as etcd:
        store = await open_etcd(EtcdStoreSettings(etcd.settings))
        began = time.perf_counter()
        owner = await fill(store, names)
        await store.close()
        print(
            f"{len(names.addresses)} names in {len(names.zones)} zones: {time.perf_counter() - began:.0f} s"
        )
        async with FilledBind(names, owner) as bind:
            cluster = {"endpoints": [etcd.members[0].url], "lease_ttl": _LEASE_TTL}
            log = {"format": "json", "level": "info"}
            ddnsd = Installation(folder, bind, store={"kind": "etcd", "etcd": cluster}, log=log)
            ddnsd.log_path.touch()
            ddnsd.start_seconds = _PATIENCE_SECONDS
            try:
                restart = Restart(ddnsd, bind, names)
                first = await restart.measure("first start", ddnsd.kill, _PROMISED_SECONDS)
                softly = await restart.measure("SIGTERM", ddnsd.terminate, _PROMISED_SECONDS)
                hard = await restart.measure("SIGKILL", ddnsd.kill, _LEASE_TTL + _PROMISED_SECONDS)
                return first and softly and hard
            finally:
                await ddnsd.close()


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="bench.restart", description=__doc__)
    parser.add_argument("--zones", type=int, default=200)
    parser.add_argument("--hosts", type=int, default=500, help="in each zone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ddnsd-bench-") as folder:
        is_as_promised = asyncio.run(_measure(Names(arguments.zones, arguments.hosts), Path(folder)))
    return 0 if is_as_promised else 1


if __name__ == "__main__":
    sys.exit(main())
