"""A public listener with the endpoints of a test, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ddnsd.web.http import Routes
from tests.system.http import Client
from tests.web.public_place import PublicPlace


@asynccontextmanager
async def served(routes: Routes) -> AsyncIterator[Client]:
    """Serve the routes; yield a client."""
    async with PublicPlace(routes) as place:
        client = Client(f"127.0.0.1:{place.port}")
        yield client
        await client.close()
