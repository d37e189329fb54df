"""Once a revocation is answered by one node, the very next answer of any other refuses; under load."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ddnsd.model.resources import digest
from tests.rigs.documents import document
from tests.system.cluster import Cluster
from tests.system.installation import example
from tests.system.load import UNCHANGED, UPDATED
from tests.system.traffic import Traffic

HOSTS = [f"h{number}.example.com" for number in range(12)]
HOST, TOKEN = "bob.example.com", "bobs-secret-0123456789"

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]


class Revocation(NamedTuple):
    """A document that takes the right away, the one that gives it back, and what is answered between."""

    taken: dict[str, Any]
    given: dict[str, Any]
    message: str


def _token(*, disabled: bool) -> dict[str, Any]:
    return document("Token", "bobs", account="bob", sha256=digest(TOKEN), disabled=disabled)


def _account(status: str) -> dict[str, Any]:
    return document("Account", "bob", status=status)


def _host(*, enabled: bool) -> dict[str, Any]:
    return document("Host", HOST, account="bob", enabled=enabled)


REVOCATIONS = (
    Revocation(_token(disabled=True), _token(disabled=False), "无效的 token"),
    Revocation(_account("banned"), _account("active"), "用户账号已被永久封禁"),
    Revocation(_host(enabled=False), _host(enabled=True), "域名记录已被禁用"),
)


async def test_the_next_answer_refuses(cluster: Cluster, rounds: Callable[[int, int], int]) -> None:
    given = [revocation.given for revocation in REVOCATIONS]
    await cluster.nodes[0].apply(*example(HOSTS), *given)
    pairs = itertools.cycle(itertools.permutations(cluster.nodes, 2))
    async with Traffic(HOSTS, cluster.addresses, cluster.nameserver) as traffic:
        for round in range(rounds(150, 10_000)):
            revocation, (one, two) = REVOCATIONS[round % len(REVOCATIONS)], next(pairs)
            await one.apply(revocation.taken)
            assert (await two.update(HOST, "192.0.2.1", token=TOKEN)).message == revocation.message
            await two.apply(revocation.given)
            assert (await one.update(HOST, "192.0.2.1", token=TOKEN)).message in (UPDATED, UNCHANGED)
        await traffic.stop()
    assert not traffic.record.lost
