"""What is to be said of the configurations that the nodes run with."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from ddnsd.model.records import Member

_ROLLED_OUT = timedelta(minutes=2)  # in which a change reaches all nodes: kubelet takes up to 90 s


def configuration_warnings(members: Collection[Member], now: datetime) -> Iterator[str]:
    """Yield a sentence for each refused configuration, each that waits for a restart, each difference."""
    for member in members:
        configured = member.configuration
        if configured.refused:
            yield (
                f"{member.name} goes on with the configuration it had, as the newest is refused: "
                f"{configured.refused}"
            )
        if configured.waiting:
            yield f"{member.name} needs a restart to take over {', '.join(configured.waiting)}"
    yield from _differences(members, now)


def _differences(members: Collection[Member], now: datetime) -> Iterator[str]:
    """Yield what nodes of one release have not had alike for longer than a change takes to reach all."""
    names: defaultdict[tuple[str, str], defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for member in members:
        since = member.configuration.since
        if since is not None and now - since > _ROLLED_OUT:
            for section, digest in member.configuration.digests.items():
                names[member.version, section][digest].append(member.name)
    for (_, section), alike in sorted(names.items()):
        if len(alike) > 1:
            sides = " and ".join(", ".join(sorted(side)) for side in alike.values())
            yield f"`{section}` is not the same in the config.yaml of {sides}"
