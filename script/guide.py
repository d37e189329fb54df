"""What `make cluster` prints: where everything is, and lines to paste that show what a cluster is for."""

import os
import shlex
import sys
from pathlib import Path

from example import curl_line, dig_line
from parts import LEASE_TTL, Cluster, Ended, Node
from parts.layout import ADDRESS

_START_AGAIN = "kill -USR1 {}"


def introduction(cluster: Cluster, leader: Node) -> str:
    """Return the addresses, and a tour: change, read, who leads, kill it, change, kill an etcd member."""
    first, second = (node for node in cluster.nodes if node is not leader)
    seconds = LEASE_TTL + 1
    return f"""
The cluster is ready; logs and data are in {cluster.layout.data}.

{_addresses(cluster)}
In another terminal: an address by way of {first.name}, and what BIND serves.

{_update(first, "192.0.2.7")}
{_dig(cluster)}

{second.name} knows it as well: 未变化.

{_update(second, "192.0.2.7")}

Who is there, and who leads:

{_ddnsd("status", leader)}

{leader.name} leads. Kill it: {first.name} answers once the next leader has published, in {seconds} s.

kill -9 {cluster.pid(leader)}
{_update(first, "192.0.2.8")}
{_dig(cluster)}

One etcd member of three may go, too.

kill -9 {cluster.pid(cluster.members[0])}
{_update(second, "192.0.2.9")}
{_dig(cluster)}

Start what has ended:

{_START_AGAIN.format(os.getpid())}

Ctrl-C ends it all; started again it goes on with its data.
"""


def report(cluster: Cluster, ended: Ended, leader: Node | None) -> str:
    """Return what a part's end means."""
    leads = f"{leader.name} leads (kill -9 {cluster.pid(leader)})" if leader else "no node leads"
    return f"{ended}; {leads}. Start it again: {_START_AGAIN.format(os.getpid())}"


def _addresses(cluster: Cluster) -> str:
    lines = [
        f"{node.name}  {node.public}  admin {node.admin.server}  health {node.health}"
        for node in cluster.nodes
    ]
    lines += [f"{member.name}  {member.url}" for member in cluster.members]
    lines += [f"bind   {ADDRESS} port {cluster.layout.dns_port}"]
    return "".join(f"  {line}\n" for line in lines)


def _update(node: Node, ip: str) -> str:
    return curl_line(node.public, node.layout.token_file, ip)


def _dig(cluster: Cluster) -> str:
    return dig_line(ADDRESS, cluster.layout.dns_port)


def _ddnsd(command: str, node: Node) -> str:
    program = Path(sys.executable).with_name("ddnsd")
    return shlex.join([str(program), command, *node.admin.options])
