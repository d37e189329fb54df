"""A cluster that suffers a schedule of faults while clients and operators work: what broke a promise?"""

import asyncio
import time
from collections.abc import Sequence

from tests.system.cluster import PREFIX
from tests.system.faults.broken_cluster import BreakableCluster
from tests.system.faults.operators import Operator, Subject, Tenant
from tests.system.faults.schedule import Schedule
from tests.system.history import read_history
from tests.system.installation import example
from tests.system.judge import figures, judge
from tests.system.load import running
from tests.system.traffic import Traffic
from tests.system.vitals import Vitals

HOSTS = [f"h{number}.example.com" for number in range(8)]
WARMTH = 1.0  # seconds of load before anything breaks
REST = 15.0  # seconds after which nothing is left of it
OPERATORS, TENANTS = 3, 2


async def suffer(cluster: BreakableCluster, planned: Schedule, seed: int) -> list[str]:
    """Let a cluster suffer a schedule under load; return what broke a promise, in words."""
    operators = [Operator(number, cluster.nodes, seed) for number in range(OPERATORS)]
    tenants = [Tenant(number, cluster.nodes, seed) for number in range(TENANTS)]
    documents = [document for operator in operators for document in operator.documents()]
    await cluster.nodes[0].apply(*example(HOSTS), *documents)
    actors: list[Operator | Tenant] = [*operators, *tenants]
    async with (
        Traffic(HOSTS, cluster.addresses, cluster.nameserver) as traffic,
        running(*(actor.run() for actor in actors)) as acting,
    ):
        await traffic.go_on(WARMTH)
        vitals = await Vitals.of(cluster.nodes)
        await cluster.suffer(planned)
        healed = time.monotonic()
        for actor in actors:
            actor.leaving.set()
        await traffic.stop()
        await asyncio.gather(*acting)
        took = await _healing(cluster, [host for tenant in tenants for host in tenant.hosts], healed)
        await traffic.go_on(0.5)  # what is served now is seen, too
    record, verdict = traffic.record, judge(traffic.record, read_history(cluster.etcd, PREFIX))
    print(f"{len(record.answers)} answers, {record.lost} lost; {figures(verdict.publications)}")
    print(f"{sum(len(each.subject.looks) for each in operators)} looks of operators; {took}")
    faults = [*verdict.faults, *_forgotten([operator.subject for operator in operators]), *_fallen(cluster)]
    if took.startswith("not"):
        faults.append(took)
    try:
        await vitals.recovered(cluster.nodes, REST)
    except AssertionError as error:
        faults.append(f"something is left of it: {error}")
    return faults


async def _healing(cluster: BreakableCluster, gone: list[str], healed: float) -> str:
    try:
        await cluster.demand_whole(gone)
    except AssertionError as error:
        return str(error)
    return f"whole {time.monotonic() - healed:.1f} s after the last heal"


def _forgotten(subjects: Sequence[Subject]) -> list[str]:
    return [fault for subject in subjects for fault in subject.faults()]


def _fallen(cluster: BreakableCluster) -> list[str]:
    """Return what the nodes have logged that no fault outside explains."""
    return [
        f"{node.folder.name}: {line[:2000]}"
        for node in cluster.nodes
        for line in node.log().splitlines()
        if '"exception"' in line or "Traceback" in line or '"level":"critical"' in line
    ]
