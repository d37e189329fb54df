"""How etcd is: what its members say of themselves, and what is wrong with that."""

from collections.abc import Iterable, Iterator, Mapping

from ddnsd.etcd import Client, EtcdError
from ddnsd.etcd.values import Status
from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.etcd.versions import defects
from ddnsd.store.interface import Problem, StoreHealth, StoreServer

_FULL = 0.6  # of the quota
_ALARMS = {
    "NOSPACE": "compact etcd, run `etcdctl defrag` on each member, then `etcdctl alarm disarm`",
    "CORRUPT": "remove the member that `etcdctl alarm list` names, and add it anew with an empty data folder",
}
_SHRINK = (
    "see that etcd is compacted (store.compact_after, or its --auto-compaction-retention), run "
    "`etcdctl defrag` on each member, or raise --quota-backend-bytes"
)

Statuses = Mapping[str, Status | EtcdError]


async def ask_health(client: Client, settings: EtcdStoreSettings, known: Iterable[Problem]) -> StoreHealth:
    """Ask every endpoint; `known` are problems that other calls have met. It takes one try's time."""
    statuses = await client.statuses()
    try:
        found = await client.members(timeout=settings.cluster.try_timeout)
    except EtcdError:
        members: tuple[str, ...] = ()  # why not, an endpoint or `known` says
    else:
        members = tuple(sorted(member.name for member in found))
    problems = dict.fromkeys((*known, *_problems(statuses, settings)))  # each once
    servers = tuple(_server(name, status) for name, status in statuses.items())
    return StoreHealth(servers, members, tuple(problems))


def _server(name: str, status: Status | EtcdError) -> StoreServer:
    if isinstance(status, EtcdError):
        return StoreServer(name, error=str(status))
    leads = status.leader == status.member_id
    return StoreServer(name, status.version, status.size, status.size_in_use, leads)


def _problems(statuses: Statuses, settings: EtcdStoreSettings) -> Iterator[Problem]:
    roles = settings.cluster.credentials is not None
    for name, status in statuses.items():
        if isinstance(status, EtcdError):
            yield Problem(f"etcd does not answer: {status}", f"see whether {name} runs")
            continue
        yield from defects(status.version, roles=roles)
        yield from _alarms(status)
        yield from _size(name, status, settings.quota)


def _alarms(status: Status) -> Iterator[Problem]:
    """Yield the alarms; a member tells them all as "memberID:… alarm:…"."""
    for text in status.errors:
        for alarm, remedy in _ALARMS.items():
            if alarm in text:
                yield Problem(f"etcd has the alarm {alarm}", remedy)


def _size(name: str, status: Status, quota: int) -> Iterator[Problem]:
    allowed = status.quota or quota
    if status.size >= _FULL * allowed:
        percent = 100 * status.size // allowed
        yield Problem(f"{name}: the database has {percent} % of its quota", _SHRINK)
