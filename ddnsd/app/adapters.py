"""From settings to nameservers."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from ddnsd.config import EmbeddedNameserver as EmbeddedSection
from ddnsd.config import Endpoint, Settings
from ddnsd.config import Rfc2136Nameserver as Rfc2136Section
from ddnsd.model.state import State
from ddnsd.nameserver.embedded import Authority, EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.interface import Nameserver
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver, Rfc2136Settings


async def open_nameservers(
    settings: Settings, state: State, stack: AsyncExitStack
) -> Mapping[str, Nameserver]:
    """Return the nameservers by name; leaving the stack closes them.

    An embedded one listens from now on and answers SERVFAIL for its zones until they are published.

    Raises:
        OSError, ValueError: an embedded one cannot listen, or its file of serials is damaged.
    """
    nameservers: dict[str, Nameserver] = {}
    for name, section in settings.nameservers.items():
        nameserver: Nameserver
        if isinstance(section, EmbeddedSection):
            nameserver = await _start_embedded(name, section, settings, state)
        else:
            nameserver = _rfc2136(name, section)
        stack.push_async_callback(nameserver.close)
        nameservers[name] = nameserver
    return nameservers


def listening(nameservers: Mapping[str, Nameserver]) -> Mapping[str, str]:
    """Return where each embedded nameserver answers, as `host:port`."""
    return {
        name: str(Endpoint(*nameserver.addresses[0][:2]))
        for name, nameserver in nameservers.items()
        if isinstance(nameserver, EmbeddedNameserver)
    }


async def _start_embedded(
    name: str, section: EmbeddedSection, settings: Settings, state: State
) -> EmbeddedNameserver:
    addresses = [address for endpoint in section.listen for address in await _resolve(endpoint)]
    embedded = EmbeddedSettings(
        name=name,
        listen=tuple(addresses),
        folder=settings.data / "nameservers" / name,
        authority=Authority(server_name=section.server_name, hostmaster=section.hostmaster),
    )
    return await EmbeddedNameserver.start(embedded, _zones_of(name, state))


def _zones_of(nameserver: str, state: State) -> Iterable[str]:
    return (zone for zone, entry in state.zones.items() if entry.value.spec.nameserver == nameserver)


async def _resolve(endpoint: Endpoint) -> list[tuple[str, int]]:
    """Return the numeric addresses of an endpoint; "" is every address of both families."""
    if not endpoint.host:
        return [("0.0.0.0", endpoint.port), ("::", endpoint.port)]  # noqa: S104 - what ":port" asks for
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys((str(address[0]), endpoint.port) for *_, address in found))


def _rfc2136(name: str, section: Rfc2136Section) -> Rfc2136Nameserver:
    return Rfc2136Nameserver(
        Rfc2136Settings(
            name=name,
            host=section.address,
            port=section.port,
            key_name=section.key.name,
            key_algorithm=section.key.algorithm,
            key_secret=section.key.secret_file.secret,
            connect_timeout=section.connect_timeout,
            timeout=section.timeout,
        )
    )
