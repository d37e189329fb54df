"""The store on etcd by itself, without HTTP: what its sharing of reads and of commits gains."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import quantiles

from prometheus_client import CollectorRegistry

from bench.load import Rate, WrongAnswerError
from ddnsd.aio import cancel
from ddnsd.etcd import Compare, CompareTarget, EtcdClient, EtcdClientSettings, PutRequest, TxnRequest
from ddnsd.model.addresses import Family
from ddnsd.model.records import Committed, RecordKey
from ddnsd.store import keys, tables
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import CLOCK, ConditionalWrite, Done
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics

CALLERS = 1000
_SETTINGS = ("hosts/h", "zones/z", "accounts/a", "tokens/t")  # with its own address: five compares
_WRITES_EVERY = 0.01  # seconds, while reads are measured: so that they have something to wait for
_TIMEOUT = 30.0


class Sharing:
    """One store, with a watch cache and a group commit as in a node; and a bare client beside them."""

    def __init__(self, store: EtcdStore, client: EtcdClient, prefix: str) -> None:
        metrics = Metrics(CollectorRegistry(), ())
        self._cache = WatchCache(store, _TIMEOUT, metrics)
        self._commits = GroupCommit(store, self._cache, metrics)
        self._client = client
        self._prefix = prefix
        self._own = [keys.address(RecordKey(f"h{number}.example.com", Family.A)) for number in range(CALLERS)]
        self._revisions = dict.fromkeys([*_SETTINGS, *self._own], 0)
        self._value = tables.encode(
            Committed("192.0.2.7", "192.0.2.6", "0123456789abcdef", datetime.now(UTC))
        )

    async def follow(self) -> None:
        """Keep the cache up to date; never returns."""
        await self._cache.run()

    async def reads(self, seconds: float) -> Rate:
        """Read from memory, linearizably."""

        async def read(_: int) -> None:
            newest = self._newest
            await self._cache.current()
            _expect(self._cache.revision >= newest, "a read from memory is stale")

        return await self._read(read, seconds)

    async def gets(self, seconds: float) -> Rate:
        """Ask etcd for each read."""
        clock = f"{self._prefix}{CLOCK}".encode()

        async def get(_: int) -> None:
            newest = self._newest
            found = await self._client.get(clock)
            _expect(found is not None and found.mod_revision >= newest, "a read of etcd is stale")

        return await self._read(get, seconds)

    async def commits(self, seconds: float) -> Rate:
        """Change each caller's own address in groups."""
        return await _drive(self._commit, seconds)

    async def txns(self, seconds: float) -> Rate:
        """Do the same with one transaction for each."""
        return await _drive(self._txn, seconds)

    @property
    def _newest(self) -> int:
        return self._revisions[self._own[0]]

    async def _read(self, read: Callable[[int], Awaitable[None]], seconds: float) -> Rate:
        done = asyncio.Event()

        async def write() -> None:
            while not done.is_set():
                await self._commit(0)
                await asyncio.sleep(_WRITES_EVERY)

        writing = asyncio.create_task(write())
        try:
            return await _drive(read, seconds)
        finally:
            done.set()  # not cancelled: the commit in flight has to be noted
            await writing

    async def _commit(self, number: int) -> None:
        key = self._own[number]
        outcome = await self._commits.commit(ConditionalWrite(self._expects(key), {key: self._value}))
        _expect(isinstance(outcome, Done), f"a commit that nothing contradicts was {outcome}")
        assert isinstance(outcome, Done)
        self._revisions[key] = outcome.revision

    async def _txn(self, number: int) -> None:
        key = self._own[number]
        compares = [
            Compare(f"{self._prefix}{name}".encode(), CompareTarget.MOD, revision)
            for name, revision in self._expects(key).items()
        ]
        put = PutRequest(f"{self._prefix}{key}".encode(), self._value)
        answer = await self._client.txn(TxnRequest(compares, [put], []), timeout=_TIMEOUT)
        _expect(answer.succeeded, "a transaction that nothing contradicts was refused")
        self._revisions[key] = answer.revision

    def _expects(self, key: str) -> Mapping[str, int]:
        return {name: self._revisions[name] for name in (key, *_SETTINGS)}


@asynccontextmanager
async def open_sharing(endpoint: str) -> AsyncIterator[Sharing]:
    """Open the store on an etcd that nobody else uses."""
    settings = EtcdStoreSettings(EtcdClientSettings((endpoint,)))
    store = await open_etcd(settings)
    try:
        async with EtcdClient(settings.cluster) as client:
            sharing = Sharing(store, client, settings.prefix)
            following = asyncio.create_task(sharing.follow())
            yield sharing
            await cancel(following)
    finally:
        await store.close()


async def _drive(act: Callable[[int], Awaitable[None]], seconds: float) -> Rate:
    """Let each caller act, again and again, for some seconds."""
    times: list[float] = []
    started = time.perf_counter()

    async def call(number: int) -> None:
        while (began := time.perf_counter()) < started + seconds:
            await act(number)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*map(call, range(CALLERS)))
    percentiles = quantiles(times, n=100)
    return Rate(len(times) / (time.perf_counter() - started), percentiles[49], percentiles[98])


def _expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise WrongAnswerError(otherwise)
