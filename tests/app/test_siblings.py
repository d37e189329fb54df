"""What workers ask of each other."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from ddnsd.app.workers import Worker, WorkerChannel
from ddnsd.model.request import Api
from ddnsd.service.limits import RefusedAttempt, RefusedAttempts
from ddnsd.telemetry.metrics import Metrics

NUMBERS = (0, 1, 2)


def worker(folder: Path, number: int) -> Worker:
    return Worker(number, tuple(other for other in NUMBERS if other != number), folder, -1, 0)


async def test_each_worker_tells_what_all_have_refused(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        siblings = []
        for number in NUMBERS[:2]:  # the third has fallen
            refused = RefusedAttempts()
            attempt = RefusedAttempt(
                datetime.now(UTC), Api.UPDATE, f"{number}.example.com", "not_found", "", ""
            )
            refused.note(attempt)
            one = WorkerChannel(worker(tmp_path, number), Metrics(CollectorRegistry()))
            stack.callback((await one.listen(lambda: True)).close)
            one.serve(refused, lambda: None)
            siblings.append(one)
        for one in siblings:
            names = {attempt.name for attempt in await one.refused()}
            assert names == {"0.example.com", "1.example.com"}
