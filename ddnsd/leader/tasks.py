"""Ending tasks."""

import asyncio


async def cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel the tasks and wait until each has ended; their failures are not raised here."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
