"""From settings to nameservers."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from ddnsd.config import ASKED, NONE, Endpoint, Settings
from ddnsd.config import EmbeddedNameserver as EmbeddedSection
from ddnsd.config import Rfc2136Nameserver as Rfc2136Section
from ddnsd.model.state import State
from ddnsd.nameserver.embedded import Authority, EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.interface import Nameserver
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver, Rfc2136Settings


class Nameservers:
    """A node's nameservers. Those of kind rfc2136 come, change and go with config.yaml; make it with `open`.

    `by_name` is replaced, never changed.
    """

    def __init__(self, embedded: Mapping[str, EmbeddedNameserver]) -> None:
        self.by_name: Mapping[str, Nameserver] = embedded
        self._embedded = embedded
        self._remote: dict[str, Rfc2136Nameserver] = {}
        self._opened: list[Nameserver] = [*embedded.values()]

    @classmethod
    async def open(cls, settings: Settings, state: State) -> "Nameservers":
        """Return those of the settings.

        An embedded one listens from now on and answers SERVFAIL for its zones until they are published.

        Raises:
            OSError, ValueError: an embedded one cannot listen, or its file of serials is damaged.
        """
        async with AsyncExitStack() as stack:
            embedded = {}
            for name, section in settings.nameservers.items():
                if isinstance(section, EmbeddedSection):
                    embedded[name] = await _start_embedded(name, section, settings, state)
                    stack.push_async_callback(embedded[name].close)
            stack.pop_all()
        nameservers = cls(embedded)
        nameservers.reconfigure(settings)
        return nameservers

    @property
    def listening(self) -> Mapping[str, str]:
        """Where each embedded one answers, as `host:port`."""
        return {name: str(Endpoint(*each.addresses[0][:2])) for name, each in self._embedded.items()}

    def reconfigure(self, settings: Settings) -> None:
        """Have those of kind rfc2136 that the settings name; one at another address is another one.

        Connections of one that went are closed when they have not been used for some seconds.
        """
        sections = settings.nameservers.items()
        wanted = {name: _rfc2136(name, each) for name, each in sections if isinstance(each, Rfc2136Section)}
        self._remote = {name: self._of(each) for name, each in wanted.items()}
        self.by_name = {**self._embedded, **self._remote}

    async def close(self) -> None:
        """Close all there ever were; idempotent."""
        for nameserver in self._opened:
            await nameserver.close()

    def _of(self, settings: Rfc2136Settings) -> Rfc2136Nameserver:
        nameserver = self._remote.get(settings.name)
        if nameserver is not None and nameserver.address == (settings.host, settings.port):
            nameserver.reconfigure(settings)
        else:
            nameserver = Rfc2136Nameserver(settings)
            self._opened.append(nameserver)
        return nameserver


async def _start_embedded(
    name: str, section: EmbeddedSection, settings: Settings, state: State
) -> EmbeddedNameserver:
    addresses = [address for endpoint in section.listen for address in await _resolve(endpoint)]
    embedded = EmbeddedSettings(
        name=name,
        listen=tuple(addresses),
        folder=settings.data / "nameservers" / name,
        authority=Authority(server_name=section.server_name, hostmaster=section.hostmaster),
        addresses=_own_addresses(section),
        responses_per_second=section.responses_per_second,
        tcp_connections=section.tcp_connections,
        tcp_connections_per_source=section.tcp_connections_per_source,
    )

    def hidden(zone: str) -> str:
        """Return the name of the fence: four times as long as the question, and nobody's affair."""
        entry = state.zones.get(zone)
        is_public = entry is not None and entry.value.spec.fence == "public"
        return "" if is_public else f"{settings.publish.fence}.{zone}"

    return await EmbeddedNameserver.start(embedded, _zones_of(name, state), hidden)


def _own_addresses(section: EmbeddedSection) -> tuple[str, ...] | None:
    """Return what the embedded nameserver's settings call so; None: the one that is asked."""
    return (
        None if section.addresses == (ASKED,) else tuple(each for each in section.addresses if each != NONE)
    )


def _zones_of(nameserver: str, state: State) -> Iterable[str]:
    return (zone for zone, entry in state.zones.items() if entry.value.spec.nameserver == nameserver)


async def _resolve(endpoint: Endpoint) -> list[tuple[str, int]]:
    """Return the numeric addresses of an endpoint; "" is every address of both families."""
    if not endpoint.host:
        return [("0.0.0.0", endpoint.port), ("::", endpoint.port)]  # noqa: S104 - what ":port" asks for
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys((str(address[0]), endpoint.port) for *_, address in found))


def _rfc2136(name: str, section: Rfc2136Section) -> Rfc2136Settings:
    return Rfc2136Settings(
        name=name,
        host=section.address,
        port=section.port,
        key_name=section.key.name,
        key_algorithm=section.key.algorithm,
        key_secret=section.key.secret_file.secret,
        connect_timeout=section.connect_timeout,
        timeout=section.timeout,
        max_connections=section.max_connections,
        max_transfers=section.max_transfers,
    )
