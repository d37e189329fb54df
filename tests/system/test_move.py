"""An installation moves: exported here, imported there, by the real command line between real nodes."""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ddnsd.model.resources import digest
from ddnsd.service.archive import yaml_of
from ddnsd.service.manifests import read_manifest
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import SECRET, Installation, example
from tests.system.load import UPDATED, address
from tests.waiting import until

BLOG, IDN, U_IDN = "blog.example.com", "xn--fiqs8s.example.com", "中国.example.com"
SERVED = {
    (BLOG, "A"): ("192.0.2.2",),
    (BLOG, "AAAA"): ("2001:db8::1",),
    (IDN, "A"): ("192.0.2.3",),
    (IDN, "AAAA"): (),
}
CHANGED = "2026-07-01T12:30:15.123456Z"


class Run(NamedTuple):
    """A finished command."""

    code: int
    out: bytes
    err: str


async def command(ddnsd: Installation, *arguments: str, stdin: bytes = b"") -> Run:
    environ = {
        "DDNSD_SERVER": f"http://{ddnsd.addresses['admin']}",
        "DDNSD_ADMIN_TOKEN_FILE": str(ddnsd.data / "admin-token"),
    }
    run = (sys.executable, "-W", "error", "-m", "ddnsd", *arguments)
    process = await asyncio.create_subprocess_exec(*run, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environ)
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Run(process.returncode, out, err.decode())


def installation(path: Path, **settings: Any) -> Installation:
    path.mkdir()
    return Installation(path, **settings)


def body(archive: bytes) -> bytes:
    """Return an archive without its header."""
    return archive[archive.index(b"\n---\n") :]


async def fill(ddnsd: Installation) -> None:
    limited = document("Token", "limited", account="alice", sha256=digest("x" * 20), hosts=[U_IDN])
    banned = document("Account", "mallory", status="banned")
    await ddnsd.apply(*example([BLOG, U_IDN]), limited, banned)
    for name, ip in ((BLOG, "192.0.2.1"), (BLOG, "192.0.2.2"), (BLOG, "2001:db8::1"), (U_IDN, "192.0.2.3")):
        assert (await ddnsd.update(name, ip)).message == UPDATED


async def served(ddnsd: Installation) -> dict[tuple[str, str], tuple[str, ...]]:
    return {question: await ddnsd.query(*question) for question in SERVED}


async def test_to_a_cluster_and_back(tmp_path: Path) -> None:
    file = tmp_path / "export.yaml"
    async with installation(tmp_path / "first") as first:
        await fill(first)
        run = await command(first, "export", "--output", str(file))
        assert run[:2] == (0, b"")
        assert "Exported 1 zone, 2 accounts, 2 hosts, 2 tokens, 3 addresses, at revision" in run.err
        assert (file.stat().st_mode & 0o777, SECRET in file.read_text()) == (0o600, False)
    with EtcdRig(versions()[0]) as etcd:
        store = {"kind": "etcd", "etcd": {"endpoints": [member.url for member in etcd.members]}}
        async with installation(tmp_path / "cluster", store=store) as cluster:
            run = await command(cluster, "import", str(file))
            said = b"Imported 1 zone, 2 accounts, 2 hosts, 2 tokens, 3 addresses.\n"
            assert run == (0, said, "")
            await until(lambda: _is_served(cluster), 10, "all addresses are published anew")
            reply = await cluster.update(BLOG, "192.0.2.9")  # with the token's old secret
            assert (reply.message, reply.json["data"]["old_ip"]) == (UPDATED, "192.0.2.2")
            assert (await cluster.update(BLOG, "192.0.2.2")).message == UPDATED
            back = (await command(cluster, "export")).out
    async with installation(tmp_path / "second") as second:
        assert (await command(second, "import", "-", stdin=back)).code == 0
        await until(lambda: _is_served(second), 10, "all addresses are published anew")
        again = (await command(second, "export")).out
    assert body(again) == body(back)
    changed = re.compile(rb'"previous": "192\.0\.2\.\d", "changed": "[^"]*"')
    assert changed.sub(b"", body(back)) == changed.sub(b"", body(file.read_bytes()))


async def _is_served(ddnsd: Installation) -> bool:
    return await served(ddnsd) == SERVED


def archive_of(hosts: Sequence[str]) -> bytes:
    """Return an export of as many hosts, each with an address."""
    counts = {"zones": 1, "accounts": 1, "hosts": len(hosts), "tokens": 1}
    header = {"format": 1, "installation": "elsewhere", "revision": 1, "time": CHANGED, "version": "0.1.0"}
    header |= {"counts": counts, "addresses": len(hosts)}
    zone, account, token = example([])
    documents = [document("Export", "elsewhere", **header), zone, account]
    for number, name in enumerate(hosts):
        status = {"A": {"ip": address(number), "previous": "", "changed": CHANGED}}
        documents.append({**document("Host", name, account="alice"), "status": status})
    return b"".join(map(yaml_of, [*documents, token])) + b"...\n"


@pytest.mark.faults
async def test_import_survives_the_death_of_the_node(
    tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    hosts = sorted(f"h{number}.example.com" for number in range(rounds(3000, 20_000)))
    file = tmp_path / "export.yaml"
    file.write_bytes(archive_of(hosts))
    async with installation(tmp_path / "node") as ddnsd:
        importing = asyncio.create_task(command(ddnsd, "import", str(file)))
        await until(lambda: _has_hosts(ddnsd), 60, "hosts are imported")
        await ddnsd.kill()
        run = await importing
        assert (run.code, "import the same export again to continue" in run.err) == (1, True)
        await ddnsd.start()
        run = await command(ddnsd, "import", str(file))
        assert run.code == 0, run.err
        some, already = (int(line.split(b" host")[0].split()[-1]) for line in run.out.splitlines())
        assert (some + already, some > 0, already > 0) == (len(hosts), True, True)
        for number in range(0, len(hosts), len(hosts) // 50):
            question, served = (hosts[number], "A"), (address(number),)
            await until(lambda: _answers(ddnsd, question, served), 60, f"{question} is published")  # noqa: B023 - awaited here
        export = (await command(ddnsd, "export")).out
    assert facts(export) == facts(file.read_bytes())


async def _has_hosts(ddnsd: Installation) -> bool:
    return bool((await ddnsd.admin("GET", "hosts?limit=1")).json["items"])


async def _answers(ddnsd: Installation, question: tuple[str, str], values: tuple[str, ...]) -> bool:
    return await ddnsd.query(*question) == values


def facts(archive: bytes) -> list[tuple[Any, ...]]:
    """Return what there is in an archive, and the addresses."""
    documents = read_manifest(archive)[1:]
    return [(document["kind"], document["metadata"], document.get("status")) for document in documents]
