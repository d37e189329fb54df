"""The client: five verbs and a watch, of any resource."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
import msgspec

from ddnsd.kube.api.objects import (
    ApiUnavailableError,
    KubeError,
    NotServedError,
    Object,
    WatchEvent,
    decode_events,
    decode_object,
    decode_page,
)
from ddnsd.kube.api.settings import ApiResource, ApiSettings, Selection
from ddnsd.kube.api.transport import ApiCall, ApiTransport

PAGE = 500  # objects in one answer of a list
_MOST = 8 << 20  # bytes of one line of a watch; etcd holds objects up to 1.5 MiB
_APPLY = "application/apply-patch+yaml"  # of which JSON is a part


class _Discovered(msgspec.Struct, frozen=True):
    name: str
    verbs: tuple[str, ...] = ()


class _Discovery(msgspec.Struct, frozen=True):
    resources: tuple[_Discovered, ...] = ()


class ApiWatch:
    """Events in the order of their resourceVersions, for one reader; a cancelled read loses none of them."""

    def __init__(self, response: httpx2.Response, title: str, silence: float) -> None:
        """Read an answer that has a line for each event; it is given up when `silence` seconds bring none."""
        self._chunks = response.aiter_raw()
        self._title = title
        self._silence = silence
        self._begun = b""  # of a line whose end has not come yet
        self._next: asyncio.Task[bytes] | None = None  # goes on where a read of it was cancelled

    async def read(self) -> tuple[WatchEvent, ...]:
        """Return the next events, one or more; () when the API server has ended the watch in order.

        Raises:
            ExpiredError: changes since the resourceVersion are no longer known: list again.
            ApiUnavailableError: the connection was lost, or says nothing.
            KubeError: the watch failed otherwise.
        """
        while True:
            chunk = await self._read_chunk()
            if not chunk:
                return ()
            *lines, self._begun = (self._begun + chunk).split(b"\n")
            if len(self._begun) > _MOST:
                raise KubeError(f"{self._title}: an event of more than {_MOST} bytes")
            if lines:
                return decode_events(lines, self._title)

    async def close(self) -> None:
        """Read no more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
            self._next.cancelled() or self._next.exception()  # looked at, so that asyncio does not log it
        await self._chunks.aclose()

    async def _read_chunk(self) -> bytes:
        if self._next is None:
            self._next = asyncio.create_task(self._next_chunk(), name="kube watch")
        await asyncio.wait([self._next], timeout=self._silence)
        if not self._next.done():
            raise ApiUnavailableError(f"{self._title}: silent for {self._silence:g} s")
        ended, self._next = self._next, None
        return ended.result()

    async def _next_chunk(self) -> bytes:
        try:
            return await anext(self._chunks, b"")
        except httpx2.HTTPError:
            raise ApiUnavailableError(f"{self._title}: the connection was lost") from None


class ApiClient:
    """One API server, for any number of callers on one event loop: `async with Client(settings) as client`.

    Connections are used again, until the block ends or one fails.

    All calls raise `KubeError` (see `objects`): `ApiUnavailableError` where no answer came in time, after
    which a write may have been done or not; `ApiRefusedError` and its kinds where nothing was done.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self.settings = settings
        self._transport = ApiTransport(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    @property
    def namespace(self) -> str:
        """The namespace of our own pod.

        Raises:
            ApiUnavailableError: the credentials cannot be read.
        """
        return self._transport.credentials.namespace

    @property
    def account(self) -> str:
        """Our own ServiceAccount, as NAMESPACE:NAME; "" if the token does not say.

        Raises:
            ApiUnavailableError: the credentials cannot be read.
        """
        return self._transport.credentials.account

    async def list(self, selection: Selection, *, page: int = PAGE) -> tuple[str, tuple[Object, ...]]:
        """Return a resourceVersion, and all objects that a selection had then, read in pages.

        Whatever was written before the call is in it.

        Raises:
            NotServedError: there is no such resource.
            ExpiredError: the pages took longer than the API server keeps history (5 minutes).
        """
        resource_version, objects, rest = await self._page(selection, page)
        while rest:
            _, more, rest = await self._page(selection, page, rest)
            objects += more
        return resource_version, objects

    async def newest(self, selection: Selection) -> str:
        """Return the resourceVersion that a list of the selection would have now.

        Raises:
            NotServedError: there is no such resource.
        """
        resource_version, _, _ = await self._page(selection, 1)
        return resource_version

    @asynccontextmanager
    async def watch(self, selection: Selection, resource_version: str) -> AsyncIterator[ApiWatch]:
        """Watch a selection from a resourceVersion on: `async with client.watch(…) as watch`.

        Raises:
            NotServedError: there is no such resource.
            ExpiredError: changes since then are no longer known; `read` may also raise it later.
        """
        limit = self.settings.watch_timeout
        query = {
            **selection.query,
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(limit),
        }
        call = ApiCall(f"watch {selection}", selection.resource, "GET", selection.path, query)
        async with self._transport.open(call, self.settings.timeout) as response:
            watch = ApiWatch(response, call.title, silence=limit + self.settings.timeout)
            try:
                yield watch
            finally:
                await watch.close()

    async def get(self, resource: ApiResource, name: str, *, namespace: str = "") -> Object:
        """Return one object.

        Raises:
            ObjectNotFoundError: it does not exist.
        """
        call = ApiCall(f"get {resource.plural}/{name}", resource, "GET", resource.item(name, namespace))
        return decode_object(await self._call(call))

    async def apply(
        self,
        resource: ApiResource,
        document: Mapping[str, Any],
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> Object:
        """Apply the fields that the manager wants in an object, or in its `status`; create it where missing.

        Fields that the manager applied before and no longer names are removed. `force` takes over fields
        that others own. A `metadata.resourceVersion` must be the object's (a custom resource's `status` does
        not compare `metadata.uid`). https://kubernetes.io/docs/reference/using-api/server-side-apply/

        Raises:
            ConflictError: others own some of the fields, or the resourceVersion is no longer the object's.
            ObjectNotFoundError: the object of the subresource does not exist.
        """
        metadata = document["metadata"]
        path = resource.item(metadata["name"], metadata.get("namespace", ""), subresource)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        title = f"apply {resource.plural}/{metadata['name']}"
        call = ApiCall(title, resource, "PATCH", path, query, document, _APPLY)
        return decode_object(await self._call(call))

    async def create(self, resource: ApiResource, document: Mapping[str, Any], *, manager: str) -> Object:
        """Create an object.

        Raises:
            AlreadyExistsError: an object of this name exists.
        """
        path = resource.collection(document["metadata"].get("namespace", ""))
        query = {"fieldManager": manager}
        call = ApiCall(f"create {resource.plural}", resource, "POST", path, query, document)
        return decode_object(await self._call(call))

    async def delete(self, resource: ApiResource, name: str, *, namespace: str = "", uid: str = "") -> None:
        """Delete an object; with `uid`, only if it has that one.

        Raises:
            ObjectNotFoundError: it does not exist.
            ConflictError: it has another uid.
        """
        options = {"preconditions": {"uid": uid}} if uid else None
        path = resource.item(name, namespace)
        title = f"delete {resource.plural}/{name}"
        await self._call(ApiCall(title, resource, "DELETE", path, document=options))

    async def serves(self, resource: ApiResource) -> bool:
        """Say whether a resource is there to stay; every authenticated user may ask (system:discovery).

        While its CRD is being deleted, and all its objects with it, discovery does not list the verb `create`
        (apiextensions-apiserver: customresource_discovery_controller.go).
        """
        try:
            found = await self._call(ApiCall(f"discover {resource.root}", resource, "GET", resource.root))
        except NotServedError:
            return False
        verbs = {one.name: one.verbs for one in _decode_discovery(found).resources}
        return "create" in verbs.get(resource.plural, ())

    async def _page(
        self, selection: Selection, limit: int, rest: str = ""
    ) -> tuple[str, tuple[Object, ...], str]:
        query = {**selection.query, "limit": str(limit)} | ({"continue": rest} if rest else {})
        call = ApiCall(f"list {selection}", selection.resource, "GET", selection.path, query)
        return decode_page(await self._transport.call(call, self.settings.list_timeout))

    async def _call(self, call: ApiCall) -> bytes:
        return await self._transport.call(call, self.settings.timeout)


def _decode_discovery(text: bytes) -> _Discovery:
    try:
        return msgspec.json.decode(text, type=_Discovery)
    except msgspec.DecodeError as error:
        raise KubeError(f"not a discovery: {error}") from None
