"""Makes and reads the data of before: what the real program of a commit left behind, and what it answered.

`script/data-before DIR` fills installations of the checkout DIR, an embedded one and one on etcd, by its APIs
alone, stops them, and keeps beside this module its data folder, etcd's snapshot, an export, and all that it
answered about them. `test_data.py` asks today's program the same.
"""

import asyncio
import hashlib
import json
import lzma
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.before.names import NAMES, names
from tests.rigs.client import NotServedError
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.former import environ_of
from tests.system.http import Client
from tests.system.installation import SECRET, Installation, example
from tests.waiting import until

FOLDER = Path(__file__).parent / "kept"
COMMIT = "e9c2e87"
EMBEDDED, SNAPSHOT, EXPORT = FOLDER / "embedded.tar.xz", FOLDER / "etcd.snapshot.xz", FOLDER / "export.yaml"
ANSWERS = {kind: FOLDER / f"answers.{kind}.json" for kind in ("embedded", "etcd")}
KINDS = ("zones", "accounts", "hosts", "tokens")
BLOG, HOME, SITE, OLD = (f"{label}.example.com" for label in ("blog", "home", "site", "old"))
LEFT, PENDING, LEAVING = "left.example.com", "pending.slow.example", "leaving.slow.example"
SERVED = (BLOG, HOME, f"any.{HOME}", SITE, OLD, LEFT, f"_acme-challenge.{BLOG}")
CHALLENGE = "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
FAR = "2099-01-01T00:00:00Z"
DEAD = 9  # discard: nobody listens there
LATER = {"later": {"than": COMMIT}}  # a field of a version that nobody has written yet
UNKNOWN_IN = (f"hosts/{BLOG}", f"addresses/{BLOG}/A", "zones/example.com", "accounts/alice")


def installation(folder: Path, environ: Mapping[str, str] | None = None, **settings: Any) -> Installation:
    """Return the installation of the data, with two nameservers: its own, and one that nobody hears."""
    key = folder / "dead.key"
    key.touch(mode=0o600)
    key.write_text("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
    dead = {
        "kind": "rfc2136",
        "address": "127.0.0.1",
        "port": DEAD,
        "key": {"name": "dead", "algorithm": "hmac-sha256", "secret_file": str(key)},
    }
    nameservers = {"default": {"kind": "embedded", "listen": "127.0.0.1:0"}, "second": dead}
    tokens = [{"name": "ci", "file": str(folder / "data" / "ci"), "scopes": ["accounts"]}]
    return Installation(
        folder,
        environ=environ,
        nameservers=nameservers,
        admin={"token_file": str(folder / "data" / "admin-token"), "tokens": tokens},
        publish={"timeout": 1},
        **settings,
    )


async def fill(ddnsd: Installation) -> None:
    """Write something of everything, by the APIs."""
    await ddnsd.apply(
        *example([BLOG, LEFT]),
        document("Zone", "slow.example", nameserver="second"),
        document(
            *("Zone", "options.example"),
            ttl=300,
            nested=True,
            adopt=True,
            reserved=["wpad"],
            enabled=False,
            fence="public",
        ),
        document("Account", "bob", status="suspended", suspendedUntil=FAR),
        document("Account", "carol", status="banned"),
        document("Host", HOME, account="alice", families=["A"], wildcard=True, ttl=120),
        document("Host", SITE, account="alice", ipv6Suffix="::1234:5678:9abc:def0", ipv6Subnet="1f"),
        document("Host", OLD, account="alice", expiresAfter=315_360_000),
        document("Host", "off.example.com", account="bob", enabled=False),
        document("Host", PENDING, account="alice"),
        document("Host", LEAVING, account="alice"),
        document("Token", "challenges", account="alice", sha256=_digest("b"), scopes=["txt"], hosts=[BLOG]),
        document("Token", "ends", account="alice", sha256=_digest("c"), expires=FAR),
        document("Token", "off", account="bob", sha256=_digest("d"), disabled=True),
        document("Token", "rotated", account="alice", sha256=_digest("e"), rotationOverlap=2_592_000),
    )
    await ddnsd.apply(
        document("Token", "rotated", account="alice", sha256=_digest("f"), rotationOverlap=2_592_000)
    )
    for host, ip in ((BLOG, "192.0.2.1"), (BLOG, "192.0.2.2"), (BLOG, "2001:db8::2"), (HOME, "192.0.2.3")):
        assert (await ddnsd.update(host, ip)).status == 200
    for host, ip in ((OLD, "192.0.2.4"), (LEFT, "192.0.2.5"), (SITE, "192.0.2.6")):
        assert (await ddnsd.update(host, ip)).status == 200
    assert (await ddnsd.update(BLOG, "192.0.2.2", ip6lanprefix="2001:db8:0:ab00::/56")).status == 200
    for host in (PENDING, LEAVING):  # committed, and published by nobody
        assert b"DNS" in (await ddnsd.update(host, "192.0.2.7")).body
    challenge = await ddnsd.public.get("/update", domains=BLOG, token=SECRET, txt=CHALLENGE)
    assert challenge.body == b"OK", challenge
    for name in (LEFT, LEAVING):
        assert (await ddnsd.admin("DELETE", f"hosts/{name}")).status == 200
    by_ci = {"Authorization": f"Bearer {(ddnsd.data / 'ci').read_text().strip()}"}
    client = Client(ddnsd.addresses["admin"])
    spec = json.dumps(document("Account", "dave")).encode()
    headers = by_ci | {"Content-Type": "application/json"}
    assert (await client.send("PUT", "/api/v1/accounts/dave", headers, spec)).status in (200, 201)
    assert (await client.send("DELETE", "/api/v1/zones/slow.example", by_ci)).status == 403
    await client.close()
    assert (await ddnsd.admin("POST", "zones/example.com/check")).status == 200
    await settled(ddnsd)


async def settled(ddnsd: Installation) -> None:
    """Wait until all that can be published is."""

    async def is_published() -> bool:
        answers = [
            await served(ddnsd, name, kind) for name in (BLOG, HOME, SITE, OLD) for kind in ("A", "AAAA")
        ]
        return [bool(answer) for answer in answers] == [True, True, True, False, True, True, True, False]

    await until(is_published, 20, "the nameserver has the addresses of before")

    async def is_written() -> bool:
        hosts = (await ddnsd.admin("GET", "hosts")).json["items"]
        states = [
            state for host in hosts for state in _states(host) if "slow" not in host["metadata"]["name"]
        ]
        return all(state["published"] for state in states if state.get("ip") or state.get("values"))

    await until(is_written, 20, "what is published is written down")


async def served(ddnsd: Installation, name: str, kind: str) -> list[str]:
    """Return what its nameserver answers; nothing while that has not loaded the zone."""
    try:
        return list(await ddnsd.query(name, kind))
    except NotServedError:
        return []


def _states(host: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [value for value in host["status"].values() if isinstance(value, dict) and "published" in value]


async def command(ddnsd: Installation, environ: Mapping[str, str], *arguments: str) -> str:
    """Run a command of the command line, and return what it prints."""
    environ = {
        **os.environ,
        **environ,
        "DDNSD_SERVER": f"http://{ddnsd.addresses['admin']}",
        "DDNSD_ADMIN_TOKEN_FILE": str(ddnsd.data / "admin-token"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ddnsd", *arguments), env=environ, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, arguments
    return printed.decode()


async def answers(ddnsd: Installation, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all that the program says about its data, without what differs from one run to the next."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        found[kind] = (await ddnsd.admin("GET", kind)).json
    for path in ("history", f"history?of={BLOG}", f"history?of={LEFT}", "audit", "sources"):
        found[path] = (await ddnsd.admin("GET", path)).json
    for kind in KINDS:
        for item in found[kind]["items"]:
            path = f"{kind}/{item['metadata']['name']}"
            reply = await ddnsd.admin("GET", path)
            found[path] = {"etag": reply.headers["etag"], "document": reply.json}
    found["served"] = {
        f"{name} {kind}": await served(ddnsd, name, kind) for name in SERVED for kind in ("A", "AAAA", "TXT")
    }
    status = (await ddnsd.admin("GET", "status")).json
    found["zones in status"] = status["zones"]
    found["export"] = without_header(await command(ddnsd, environ, "export"))
    found["unchanged"] = [(await ddnsd.update(host, ip)).body.decode() for host, ip in CURRENT]
    return found


CURRENT = ((BLOG, "192.0.2.2"), (HOME, "192.0.2.3"))


def without_header(archive: str) -> str:
    """Return an archive's documents: its header says when it was made, and by which version."""
    return archive[archive.index("\n---\n") :]


def make(tree: Path) -> None:
    """Make all files of `FOLDER` by the program of this checkout."""
    where = [sys.executable, "-c", "import ddnsd; print(ddnsd.__file__)"]
    found = subprocess.run(where, env=environ_of(tree), check=True, capture_output=True, text=True).stdout
    assert Path(found).is_relative_to(tree), f"this would be the program of {found}"
    FOLDER.mkdir(exist_ok=True)
    asyncio.run(_make(tree))
    NAMES.write_text(json.dumps(names(tree), indent=1, ensure_ascii=False, sort_keys=True) + "\n")


async def _make(tree: Path) -> None:
    environ = environ_of(tree)
    with tempfile.TemporaryDirectory() as made:
        await _make_embedded(Path(made), environ)
    with tempfile.TemporaryDirectory() as made, EtcdRig(versions()[0]) as etcd:
        await _make_etcd(Path(made), environ, etcd)


async def _make_embedded(folder: Path, environ: Mapping[str, str]) -> None:
    ddnsd = installation(folder, environ)
    async with ddnsd:
        await fill(ddnsd)
        await ddnsd.terminate()
    with closing(sqlite3.connect(ddnsd.data / "store" / "ddnsd.db")) as database, database:
        for key in UNKNOWN_IN:
            (value,) = database.execute("SELECT value FROM items WHERE key = ?", (key,)).fetchone()
            database.execute(
                "UPDATE items SET value = ? WHERE key = ?", (json.dumps(_more(value)).encode(), key)
            )
    async with ddnsd:
        await settled(ddnsd)
        EXPORT.write_text(await command(ddnsd, environ, "export"))
        await ddnsd.terminate()
    with tarfile.open(EMBEDDED, "w:xz") as tar:
        tar.add(ddnsd.data, "data", filter=_anonymous)
    await _keep_answers("embedded", ddnsd, environ)


async def _make_etcd(folder: Path, environ: Mapping[str, str], etcd: EtcdRig) -> None:
    store = {"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url]}}
    async with installation(folder, environ, store=store) as ddnsd:
        await fill(ddnsd)
        await ddnsd.terminate()
    for key in UNKNOWN_IN:
        value = etcd.ctl("get", f"ddnsd/{key}", "--print-value-only").rstrip("\n")
        etcd.ctl("put", f"ddnsd/{key}", json.dumps(_more(value.encode())))
    async with ddnsd:
        await settled(ddnsd)
        await ddnsd.terminate()
    snapshot = await asyncio.to_thread(saved, etcd, folder / "snapshot")
    SNAPSHOT.write_bytes(lzma.compress(snapshot.read_bytes(), preset=9))
    shutil.rmtree(ddnsd.data)
    await asyncio.to_thread(etcd.restore, snapshot, "restored")
    await _keep_answers("etcd", ddnsd, environ)


async def _keep_answers(kind: str, ddnsd: Installation, environ: Mapping[str, str]) -> None:
    async with ddnsd:
        await settled(ddnsd)
        found = await answers(ddnsd, environ)
    ANSWERS[kind].write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def _digest(letter: str) -> str:
    return hashlib.sha256(20 * letter.encode()).hexdigest()


def _more(value: bytes) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(value)
    return known | LATER


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def saved(etcd: EtcdRig, path: Path) -> Path:
    """Save etcd's snapshot."""
    etcd.ctl("snapshot", "save", str(path))
    return path


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
