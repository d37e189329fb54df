"""The client: etcd's key-value, lease, watch and maintenance calls (etcd: api/etcdserverpb/rpc.proto)."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ddnsd.etcd.channel import MemberChannel
from ddnsd.etcd.connections import ClusterChannel
from ddnsd.etcd.errors import EtcdError
from ddnsd.etcd.lease import Lease, grant
from ddnsd.etcd.messages import (
    COMPACT,
    DELETE_RANGE,
    MEMBER_LIST,
    PUT,
    RANGE,
    REPEATABLE_TXN,
    STATUS,
    TXN,
    AnyMessage,
    Rpc,
    decode_delete,
    decode_member,
    decode_put,
    decode_range,
    decode_status,
    decode_txn,
    encode_delete,
    encode_put,
    encode_range,
    encode_txn,
)
from ddnsd.etcd.settings import EtcdClientSettings
from ddnsd.etcd.values import (
    ClusterMember,
    DeleteRangeRequest,
    DeleteRangeResponse,
    EtcdKeyValue,
    MemberStatus,
    PutRequest,
    PutResponse,
    RangeRequest,
    RangeResponse,
    TxnRequest,
    TxnResponse,
    prefix_range,
)
from ddnsd.etcd.watch import WatchStream

PAGE = 1000  # keys in one answer of `read_prefix`


class EtcdClient:
    """One cluster, for any number of callers on one event loop; to be made in that loop, after any fork.

    All calls raise `EtcdError` (see `errors`): `UnknownOutcomeError` where the answer to a write was lost,
    `EtcdRestoredError` where etcd's history is not the one seen before: then close this client and make
    another one. At any other certainly nothing was changed. `timeout` is in seconds, for all tries together;
    None is the settings' own.
    """

    def __init__(self, settings: EtcdClientSettings) -> None:
        self._settings = settings
        self._connections = ClusterChannel(settings)

    def reconfigure(self, settings: EtcdClientSettings) -> None:
        """Go on with other credentials, certificates and times; the endpoints are those of before."""
        self._settings = settings
        self._connections.reconfigure(settings)

    @property
    def cluster_id(self) -> int | None:
        """The cluster's id; None until the first answer."""
        return self._connections.timeline.cluster_id

    @property
    def revision(self) -> int:
        """The highest revision that is known to be committed."""
        return self._connections.timeline.revision

    async def range(self, wanted: RangeRequest, *, timeout: float | None = None) -> RangeResponse:
        """Read a range of keys."""
        known = 0 if wanted.serializable else self.revision
        message = await self._call(RANGE, encode_range(wanted), timeout)
        if not wanted.serializable:
            self._connections.timeline.check_revision(message.header.revision, known)
        return decode_range(message)

    async def get(self, key: bytes, *, timeout: float | None = None) -> EtcdKeyValue | None:
        """Read one key, linearizably; None if there is none."""
        result = await self.range(RangeRequest(key), timeout=timeout)
        return result.items[0] if result.items else None

    async def read_prefix(
        self,
        prefix: bytes,
        *,
        revision: int = 0,
        page: int = PAGE,
        timeout: float | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> RangeResponse:
        """Read all keys under a prefix in pages, at one revision (0: the newest); `timeout` is a page's.

        The answer is that of one page that held them all, sorted by key. `progress` is called after each page
        with how many keys there are so far.

        Raises:
            EtcdCompactedError: the revision is no longer kept, or was compacted between two pages.
        """
        key, end = prefix_range(prefix)
        items: list[EtcdKeyValue] = []
        more = True
        while more:
            wanted = RangeRequest(key, end, revision=revision, limit=page)
            result = await self.range(wanted, timeout=timeout)
            items += result.items
            progress(len(items))
            more = result.more
            revision = revision or result.revision
            key = items[-1].key + b"\0" if more else key
        return RangeResponse(revision, tuple(items), more, len(items))

    async def put(self, put: PutRequest, *, timeout: float | None = None) -> PutResponse:
        """Write a key."""
        return decode_put(await self._change(PUT, encode_put(put), timeout))

    async def delete(
        self, delete: DeleteRangeRequest, *, timeout: float | None = None
    ) -> DeleteRangeResponse:
        """Delete a key or a range of keys."""
        return decode_delete(await self._change(DELETE_RANGE, encode_delete(delete), timeout))

    async def txn(
        self, txn: TxnRequest, *, repeatable: bool = False, timeout: float | None = None
    ) -> TxnResponse:
        """Do a transaction.

        `repeatable` says that doing it twice is as good as once, so that it is sent again when its
        answer is lost, and never ends as unknown.
        """
        method = REPEATABLE_TXN if repeatable else TXN
        return decode_txn(await self._change(method, encode_txn(txn), timeout))

    async def compact(self, revision: int, *, timeout: float | None = None) -> None:
        """Forget the history before a revision.

        Raises:
            EtcdCompactedError: it is forgotten already.
            RequestRefusedError: there is no such revision yet.
        """
        await self._call(COMPACT, COMPACT.request(revision=revision), timeout)

    async def grant(self, ttl: int, *, timeout: float | None = None) -> Lease:
        """Grant a lease of `ttl` seconds or, if etcd's minimum is higher, more; it is kept alive."""
        return await grant(self._connections, ttl, self._timeout(timeout))

    def watch(self, prefix: bytes, start: int) -> WatchStream:
        """Watch all keys under a prefix from a revision on; to be closed by the caller."""
        return WatchStream(self._connections, prefix, start)

    async def members(self, *, timeout: float | None = None) -> tuple[ClusterMember, ...]:
        """Return the members that the cluster has."""
        message = await self._call(MEMBER_LIST, MEMBER_LIST.request(), timeout)
        return tuple(map(decode_member, message.members))

    async def statuses(self) -> dict[str, MemberStatus | EtcdError]:
        """Ask every endpoint for its own view; what a member does not answer stands in its place."""
        endpoints = self._connections.endpoints
        found = await asyncio.gather(*map(self._status, endpoints))
        return {endpoint.name: status for endpoint, status in zip(endpoints, found, strict=True)}

    async def close(self) -> None:
        """Close all connections; leases end after their TTL unless revoked before; idempotent."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _status(self, endpoint: MemberChannel) -> MemberStatus | EtcdError:
        try:
            message = await self._connections.call_at(endpoint, STATUS, STATUS.request())
        except EtcdError as error:
            return error
        return decode_status(endpoint.name, message)

    async def _change(self, method: Rpc, request: AnyMessage, timeout: float | None) -> AnyMessage:
        known = self.revision
        message = await self._call(method, request, timeout)
        self._connections.timeline.check_revision(message.header.revision, known)
        return message

    async def _call(self, method: Rpc, request: AnyMessage, timeout: float | None) -> AnyMessage:
        return await self._connections.call(method, request, self._timeout(timeout))

    def _timeout(self, timeout: float | None) -> float:
        return self._settings.timeout if timeout is None else timeout
