"""The rigs as fixtures: a nameserver of its own for each test that asks for one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.rigs import RIGS, BindRig, KnotRig, NameserverRig, PowerDnsRig


@pytest_asyncio.fixture(params=RIGS.values(), ids=RIGS.keys())
async def nameserver_rig(request: pytest.FixtureRequest) -> AsyncIterator[NameserverRig]:
    """Each of BIND, Knot and PowerDNS in turn, with the zone example.com."""
    async with request.param() as rig:
        yield rig


@pytest_asyncio.fixture
async def bind_rig() -> AsyncIterator[NameserverRig]:
    """BIND with the zone example.com."""
    async with BindRig() as rig:
        yield rig


@pytest_asyncio.fixture
async def knot_rig() -> AsyncIterator[NameserverRig]:
    """Knot with the zone example.com."""
    async with KnotRig() as rig:
        yield rig


@pytest_asyncio.fixture
async def pdns_rig() -> AsyncIterator[NameserverRig]:
    """PowerDNS with the zone example.com."""
    async with PowerDnsRig() as rig:
        yield rig
