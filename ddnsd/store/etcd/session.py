"""One client, and all that lives by it: what the store is made of from its opening to its end."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from ddnsd import etcd
from ddnsd.etcd import Client, Compare, Put, Range, Target, Txn
from ddnsd.etcd.errors import CompactedError as EtcdCompactedError
from ddnsd.etcd.values import RangeResult
from ddnsd.store.etcd.keyspace import Keyspace
from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.interface import CompactedError, UnavailableError


class Session:
    """A client on the timeline that it found, its watches and its candidates. `end` ends them all."""

    def __init__(self, client: Client, space: Keyspace, timeline: bytes) -> None:
        self.client = client
        self.space = space
        self.timeline = timeline
        self._watches: set[etcd.Watch] = set()
        self._candidacies: set[etcd.Candidacy] = set()
        self._ended = False

    @property
    def identity(self) -> str:
        """The cluster's id and the timeline."""
        return f"{self.client.cluster_id:x}-{self.timeline.decode()}"

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Make etcd's errors the store's.

        Raises:
            CompactedError: of a watch.
            UnavailableError: all others, and where the session has ended.
        """
        self.check()
        try:
            yield
        except EtcdCompactedError as error:
            raise CompactedError(str(error)) from error
        except etcd.EtcdError as error:
            self.check()  # by then the end may be the better reason
            raise UnavailableError(str(error)) from error

    def check(self) -> None:
        """Go on only while the session lasts.

        Raises:
            UnavailableError: it has ended.
        """
        if self._ended:
            raise UnavailableError("the store is closed")

    def watch(self, prefix: bytes, start: int) -> etcd.Watch:
        """Begin a watch of etcd's, to be released.

        Raises:
            UnavailableError: the session has ended.
        """
        self.check()
        watch = self.client.watch(prefix, start)
        self._watches.add(watch)
        return watch

    async def release(self, watch: etcd.Watch) -> None:
        """End a watch; idempotent."""
        self._watches.discard(watch)
        await watch.close()

    async def enter(self, value: bytes, ttl: int) -> etcd.Candidacy:
        """Stand in the queue of the election, to leave it.

        Raises:
            EtcdError: not now.
            UnavailableError: the session has ended.
        """
        candidacy = await etcd.enter(self.client, self.space.election, value, ttl)
        if self._ended:
            await candidacy.resign()
        self.check()
        self._candidacies.add(candidacy)
        return candidacy

    async def leave(self, candidacy: etcd.Candidacy) -> None:
        """Leave the queue, or the lead; idempotent."""
        self._candidacies.discard(candidacy)
        await candidacy.resign()

    async def end(self) -> None:
        """Resign, end the watches, close the client; idempotent."""
        self._ended = True
        leaving = [self.leave(candidacy) for candidacy in self._candidacies]
        releasing = [self.release(watch) for watch in self._watches]
        await asyncio.gather(*leaving, *releasing)
        await self.client.close()


async def open_session(settings: EtcdStoreSettings) -> Session:
    """Connect, and learn the timeline; make it where there is none.

    Raises:
        EtcdError: not now.
    """
    space = Keyspace(settings.prefix)
    client = Client(settings.cluster)
    try:
        return Session(client, space, await _timeline(client, space))
    except BaseException:  # cancelled, too
        await client.close()
        raise


async def _timeline(client: Client, space: Keyspace) -> bytes:
    fresh = secrets.token_hex(8).encode()
    create = Txn(
        (Compare(space.timeline, Target.CREATE, 0),),
        (Put(space.timeline, fresh), Put(space.clock, b"")),
        (Range(space.timeline),),
    )
    # Done twice it finds the one of the first time.
    answer = await client.txn(create, repeatable=True)
    if answer.succeeded:
        return fresh
    (found,) = answer.results
    assert isinstance(found, RangeResult)
    return found.items[0].value
