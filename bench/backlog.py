"""How fast the leader publishes a backlog: from the store to the acknowledgement in the store."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from bench.load import WrongAnswerError
from ddnsd.model.addresses import Family
from ddnsd.model.records import Committed, RecordKey
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite, Done
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.installation import Installation

_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 120.0


async def commit_addresses(ddnsd: Installation, hosts: Sequence[str], ip: str) -> None:
    """Commit an address for each host, behind the back of a node that does not run.

    Raises:
        WrongAnswerError: there were addresses before.
    """
    store = await open_embedded(ddnsd.data / "store")
    value = tables.encode(Committed(ip, "", "bench", datetime.now(UTC)))
    names = [keys.address(RecordKey(host, Family.A)) for host in hosts]
    for start in range(0, len(names), store.limits.group):
        group = names[start : start + store.limits.group]
        outcomes = await store.commit([ConditionalWrite({name: 0}, {name: value}) for name in group])
        if not all(isinstance(outcome, Done) for outcome in outcomes):
            raise WrongAnswerError("a host of the backlog has an address already")
    await store.close()


async def first_publication(ddnsd: Installation, zone: str) -> float:
    """Return records a second while a node that has just started publishes its backlog.

    Counted from the first acknowledgement that is seen, so that the start itself does not count.
    """
    before = await _seen(ddnsd, zone)
    while (now := await _pending(ddnsd, zone)) == before:
        await asyncio.sleep(_POLL_SECONDS)
    started = time.perf_counter()
    await _emptied(ddnsd, zone)
    return now / (time.perf_counter() - started)


async def replacement(ddnsd: Installation, zone: str, hosts: int, ttl: int) -> float:
    """Give the zone another TTL, which makes all its records pending at once; return records a second."""
    started = time.perf_counter()
    await ddnsd.apply(document("Zone", zone, ttl=ttl))
    await _seen(ddnsd, zone)
    await _emptied(ddnsd, zone)
    return hosts / (time.perf_counter() - started)


async def check_served(rig: NameserverRig, zone: str, hosts: Sequence[str], ttl: int, ip: str) -> None:
    """Compare what the nameserver serves with what was published.

    Raises:
        WrongAnswerError: it serves something else.
    """
    records = await rig.zone_records(zone)
    served = {(record.name, record.ttl, record.value) for record in records if record.type == "A"}
    missing = {(host, ttl, ip) for host in hosts} - served
    if missing:
        raise WrongAnswerError(
            f"{len(missing)} of {len(hosts)} records of {zone} are not served as published"
        )


async def _seen(ddnsd: Installation, zone: str) -> int:
    """Wait until there is a backlog; return how many records."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not (pending := await _pending(ddnsd, zone)):
            await asyncio.sleep(_POLL_SECONDS)
    return pending


async def _emptied(ddnsd: Installation, zone: str) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while await _pending(ddnsd, zone):
            await asyncio.sleep(_POLL_SECONDS)


async def _pending(ddnsd: Installation, zone: str) -> int:
    """Return how many records are committed but not acknowledged."""
    status = (await ddnsd.admin("GET", "status")).json
    return next(each["pending"] for each in status["zones"] if each["zone"] == zone) or 0
