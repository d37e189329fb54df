"""Services and their names: a stand-in for kube-proxy and the cluster's DNS.

Each ClusterIP is an address of the bridge, where this process listens and passes on to an endpoint that is
ready, as kube-proxy did in its first years (mode userspace). Connections that stand stay where they are.
It is late, as load balancers are: who stops at once when told to, and does not wait, is still sent requests.
"""

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Self

from tests.rigs.kubernetes.collection import Collection, Key
from tests.rigs.kubernetes.controlplane import ControlPlane
from tests.rigs.kubernetes.names import Names
from tests.rigs.kubernetes.relay import DatagramRelay, relay
from tests.rigs.subnet import run

_GLANCE = 0.02  # seconds between two looks at what has changed
_LAG = 1.0  # seconds until an endpoint that comes or goes is noticed
_Listener = asyncio.AbstractServer | asyncio.BaseTransport


class Services:
    """`with Services(plane):` serves them until the end."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._stack = ExitStack()
        self._open: dict[tuple[str, str, int], _Listener] = {}  # by protocol, address, port
        self._random = random.Random(1)
        self._noticed: Mapping[Key, Any] = {}  # the EndpointSlices, as of `_LAG` ago
        self._coming: deque[tuple[float, Mapping[Key, Any]]] = deque()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="services", daemon=True)

    def __enter__(self) -> Self:
        self._services = self._stack.enter_context(Collection(self._plane, "/api/v1/services"))
        slices = "/apis/discovery.k8s.io/v1/endpointslices"
        self._slices = self._stack.enter_context(Collection(self._plane, slices))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._stack.close()

    def address(self, namespace: str, name: str) -> str:
        """Return a Service's ClusterIP, None (a word) for a headless one."""
        return str(self._services.objects[Key(namespace, name)]["spec"]["clusterIP"])

    def endpoints(self, service: Key) -> Iterator[tuple[Mapping[str, Any], Mapping[str, int]]]:
        """Yield a Service's endpoints that are ready, with their ports by name."""
        for key, found in self._noticed.items():
            owner = found["metadata"]["labels"].get("kubernetes.io/service-name")
            if Key(key.namespace, owner) != service or found["addressType"] != "IPv4":
                continue
            ports = {port.get("name", ""): port["port"] for port in found["ports"] or ()}
            for endpoint in found["endpoints"] or ():
                if endpoint["conditions"].get("ready"):
                    yield endpoint, ports

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        names = Names(self._services, self.endpoints)
        loop = asyncio.get_running_loop()
        gateway = self._plane.network.gateway
        resolver, _ = await loop.create_datagram_endpoint(lambda: names, local_addr=(gateway, 53))
        while not self._closed.is_set():
            for key, service in list(self._services.objects.items()):
                await self._open_ports(key, service["spec"])
            self._notice()
            await asyncio.to_thread(self._closed.wait, _GLANCE)
        for listener in (resolver, *self._open.values()):
            listener.close()

    def _notice(self) -> None:
        now = time.monotonic()
        if not self._coming or self._coming[-1][1] is not self._slices.objects:
            self._coming.append((now, self._slices.objects))
        while len(self._coming) > 1 and self._coming[1][0] < now - _LAG:
            self._coming.popleft()
        if self._coming[0][0] < now - _LAG:
            self._noticed = self._coming[0][1]

    async def _open_ports(self, key: Key, spec: Mapping[str, Any]) -> None:
        if spec.get("clusterIP", "None") == "None":
            return
        for port in spec["ports"]:
            place = port["protocol"], spec["clusterIP"], port["port"]
            if place not in self._open:
                self._open[place] = await self._listen(*place, key, port.get("name", ""))

    async def _listen(self, protocol: str, address: str, port: int, key: Key, name: str) -> _Listener:
        if address not in {each for _, each, _ in self._open}:
            run("ip", "addr", "add", f"{address}/32", "dev", self._plane.network.name)
        if protocol == "UDP":
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_datagram_endpoint(
                lambda: DatagramRelay(lambda: self._choose(key, name)), local_addr=(address, port)
            )
            return transport

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await relay(reader, writer, self._choose(key, name))

        return await asyncio.start_server(accept, address, port)

    def _choose(self, service: Key, name: str) -> tuple[str, int] | None:
        """Return one endpoint, None if nobody is ready."""
        found = [(endpoint["addresses"][0], ports[name]) for endpoint, ports in self.endpoints(service)]
        return self._random.choice(found) if found else None
