"""The real Dockerfile, built and run: read-only, without capabilities, as 10001, answering."""

import json
import os
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.model.resources import digest
from tests.image.base import ROOT, Storage, make_base
from tests.image.container import USER, Container, Image, mounted
from tests.rigs.client import ask
from tests.rigs.ports import PortLease
from tests.rigs.process import find_program

SECRET = "test-secret-0123456789"
STARTS = 2.0  # seconds, as promised
TOKEN = {
    "apiVersion": "ddnsd.dev/v1alpha1",
    "kind": "Token",
    "metadata": {"name": "test"},
    "spec": {"account": "alice", "sha256": digest(SECRET)},
}
DOCUMENTS = (ROOT / "examples" / "quickstart.yaml").read_text() + f"---\n{json.dumps(TOKEN)}\n"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="run as root: images are built and run here without a daemon"
    ),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """What `make image` makes, from a stand-in for the base image."""
    storage = Storage(tmp_path_factory.mktemp("storage"))
    make_base(storage)
    storage.run([str(ROOT / "script" / "image"), "--pull-never"])
    try:
        with mounted(storage.buildah, f"localhost/ddnsd:{VERSION}") as image:
            yield image
    finally:
        storage.buildah("rmi", "--all", "--force")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A volume as kubelet hands it over."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    leases = {name: PortLease() for name in ("public", "admin", "health", "dns")}
    yield {name: lease.port for name, lease in leases.items()}
    for lease in leases.values():
        lease.release()


@pytest.fixture
def container(image: Image, data: Path, ports: dict[str, int], tmp_path: Path) -> Container:
    config = {
        "data": "/var/lib/ddnsd/data",
        "listen": {name: f"127.0.0.1:{ports[name]}" for name in ("public", "admin", "health")},
        "nameservers": {"default": {"kind": "embedded", "listen": f"127.0.0.1:{ports['dns']}"}},
    }
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(config))
    mounts = {"/var/lib/ddnsd": data, "/etc/config.yaml": file}
    return Container(image, tmp_path, ["serve", "--config", "/etc/config.yaml"], mounts)


async def test_it_answers_and_ends_as_asked(
    container: Container, image: Image, ports: dict[str, int], data: Path
) -> None:
    with container:
        container.wait_for_log("leader.elected", seconds=20)
        server = f"http://127.0.0.1:{ports['admin']}"
        container.execute("ddnsd", "apply", "-f", "-", "--server", server, given=DOCUMENTS)
        url = f"http://127.0.0.1:{ports['public']}/api/ddns/update"
        with urllib.request.urlopen(f"{url}?domain=blog.example.com&token={SECRET}&ip=192.0.2.7") as answer:
            assert json.load(answer)["data"]["updated"] is True
        assert await ask("127.0.0.1", ports["dns"], "blog.example.com", "A") == ("192.0.2.7",)
        assert container.terminate(image.config["StopSignal"]) == 0
    assert {path.stat().st_uid for path in data.rglob("*")} == {USER}


def test_it_starts_fast(container: Container) -> None:
    durations = [seconds_to_start(container) for _ in range(3)]
    assert min(durations) < STARTS, durations  # the others are the machine's, which may be busy


def seconds_to_start(container: Container) -> float:
    started = time.monotonic()
    with container:
        container.wait_for_log("leader.elected", seconds=20)
        return time.monotonic() - started


def test_it_says_who_it_is(image: Image) -> None:
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    labels = {key.rpartition(".")[2]: value for key, value in image.config["Labels"].items()}
    assert labels["version"] == VERSION
    assert labels["revision"] == revision.stdout.strip()
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["StopSignal"] == "SIGTERM"


def test_nothing_to_build_with_is_left_in_it(image: Image) -> None:
    installed = {path.name.partition("-")[0] for path in (image.root / "opt").rglob("*.dist-info")}
    assert "tornado" in installed
    assert not installed & {"pip", "setuptools", "pytest"}
    assert not list((image.root / "opt").rglob("test_*.py"))


def test_without_a_builder_it_says_what_to_install(tmp_path: Path) -> None:
    for program in ("bash", "dirname", "sed", "git"):
        (tmp_path / program).symlink_to(find_program(program, program))
    script = ROOT / "script" / "image"
    done = subprocess.run(
        [str(tmp_path / "bash"), str(script)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "sudo apt-get install buildah" in done.stderr
