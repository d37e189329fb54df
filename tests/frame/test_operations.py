"""What docs/operations tells operators to paste does what it says, on each etcd; its names exist."""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.config import load
from tests.rigs.certificates import Certificates
from tests.rigs.etcd import EtcdRig, Version, versions
from tests.system.installation import Installation, example

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "\n".join(path.read_text() for path in sorted((DOCS / "operations").glob("*.md")))
TSIG_KEY = 'key "ddnsd" { algorithm hmac-sha256; secret "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"; };'
NEWER = [version for version in versions() if version.folder]  # Debian's has no etcdutl


def block(first_word: str) -> str:
    """Return the shell lines that begin so."""
    found: str
    (found,) = re.findall(rf"(?ms)^```sh\n({re.escape(first_word)}.*?)^```", TEXT)
    return found


@pytest.fixture(params=versions(), ids=lambda version: version.name)
def rig(request: pytest.FixtureRequest) -> Iterator[EtcdRig]:
    with EtcdRig(request.param) as rig:
        yield rig


def paste(version: Version, lines: str, folder: Path, **environ: str) -> None:
    programs = Path(version.program("etcdctl")).parent
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", lines],
        cwd=folder,
        env={**os.environ, "PATH": path, "ETCDCTL_API": "3", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_a_role_on_the_prefix_is_enough(rig: EtcdRig, tmp_path: Path) -> None:
    endpoint = {"ETCDCTL_ENDPOINTS": rig.members[0].url}
    await asyncio.to_thread(paste, rig.version, block("(umask 077;"), tmp_path, **endpoint)
    etcd = {
        "endpoints": [rig.members[0].url],
        "user": "ddnsd",
        "password_file": str(tmp_path / "etcd-password"),
    }
    async with Installation(tmp_path, store={"kind": "etcd", "etcd": etcd}) as ddnsd:
        await ddnsd.apply(*example())
        assert (await ddnsd.update("blog.example.com", "192.0.2.7")).status == 200
        status = (await ddnsd.admin("GET", "status")).json
        assert status["leader"]["node"] == status["node"]
        assert not ddnsd.events("store.failing")
    password = (tmp_path / "etcd-password").read_text().strip()
    with pytest.raises(AssertionError, match="permission denied"):
        paste(rig.version, "etcdctl get elsewhere", tmp_path, ETCDCTL_USER=f"ddnsd:{password}", **endpoint)


@pytest.mark.parametrize("version", NEWER, ids=lambda version: version.name)
def test_a_snapshot_is_restored_with_later_revisions(version: Version, tmp_path: Path) -> None:
    with EtcdRig(version) as rig:
        (member,) = rig.members
        rig.ctl("put", "ddnsd/a", "1")
        paste(version, block("etcdctl snapshot save"), tmp_path, ETCDCTL_ENDPOINTS=member.url)
        rig.ctl("put", "ddnsd/a", "2")
        rig.token = "another"
        member.kill()
        member.folder.rename(member.folder.with_name("before"))
        paste(
            version,
            block("etcdutl snapshot restore"),
            tmp_path,
            DATA_DIR=str(member.folder),
            NAME=member.name,
            PEER_URL=member.peer_url,
            CLUSTER=f"{member.name}={member.peer_url}",
            TOKEN=rig.token,
        )
        rig.start()
        assert rig.ctl("get", "--print-value-only", "ddnsd/a") == "1\n"
        revision = re.search(r'"Revision" : (\d+)', rig.ctl("get", "ddnsd/a", "-w", "fields"))
        assert revision
        assert int(revision[1]) > 1_000_000_000


def test_its_configuration_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"(?ms)^```yaml\n(.*?)^```", TEXT)
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "etcd-password").write_text("password\n")
    (tmp_path / "secrets" / "ddnsd.key").write_text(TSIG_KEY)
    Certificates(tmp_path / "tls")
    (tmp_path / "tls" / "ca.pem").rename(tmp_path / "tls" / "etcd-ca.pem")
    settings = load(tmp_path / "config.yaml", {})
    assert settings.store.etcd
    assert len(settings.store.etcd.endpoints) == 3


def test_its_metrics_exist() -> None:
    known = (DOCS / "metrics.md").read_text()
    named = {name.removesuffix("_bucket") for name in re.findall(r"\bddnsd_\w+", TEXT)}
    assert named
    assert not {name for name in named if f"`{name}`" not in known}


def test_its_settings_exist() -> None:
    known = (DOCS / "configuration.md").read_text()
    sections = set(re.findall(r"(?m)^\| `(\w+)\.", known))
    named = set(re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_.]+)`", TEXT))
    assert named
    assert not {name for name in named - _log_events() if f"| `{name}` |" not in known and name[-2:] != "md"}


def _log_events() -> set[str]:
    """Return what the program logs: some events are named like settings (`store.failing`)."""
    sources = (DOCS.parent / "ddnsd").rglob("*.py")
    found = (re.findall(r'_log\.\w+\((?:\w+, )?"([a-z_.]+)"', source.read_text()) for source in sources)
    return {event for events in found for event in events}
