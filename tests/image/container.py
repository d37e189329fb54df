"""A container as Pod Security "restricted" leaves it: read-only, without capabilities, without a shell."""

import contextlib
import json
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.rigs.process import find_program
from tests.waiting import wait_until

_TERMINATION = 20.0  # seconds
USER = 10001


class Image(NamedTuple):
    """A mounted image: its files, and what its makers say of it (the OCI image's `config`)."""

    root: Path
    config: Mapping[str, Any]


class Container:
    """`with Container(image, …) as container` runs the image's own command in a folder of the test's."""

    def __init__(
        self, image: Image, folder: Path, arguments: Sequence[str], mounts: Mapping[str, Path]
    ) -> None:
        self._name = f"ddnsd-test-{uuid.uuid4().hex[:12]}"
        self._folder = folder / "bundle"
        self._folder.mkdir()
        self._log = folder / "log"
        specification = _specification(image, [*image.config["Entrypoint"], *arguments], mounts)
        (self._folder / "config.json").write_text(json.dumps(specification))

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._runc("run", "--bundle", str(self._folder), self._name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(self._runc("delete", "--force", self._name), capture_output=True, check=False)
        self._process.wait(_TERMINATION)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def execute(self, *command: str, given: str = "") -> str:
        """Run a command in it, as `kubectl exec` and preStop do; return what it prints."""
        done = subprocess.run(
            self._runc("exec", self._name, *command), input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def terminate(self, signal: str) -> int:
        """Send the signal; return the exit status."""
        subprocess.run(self._runc("kill", self._name, signal), check=True)
        return self._process.wait(_TERMINATION)

    def wait_for_log(self, event: str, seconds: float) -> None:
        """Wait until something stands in the log."""
        wait_until(lambda: event in self.log or self._process.poll() is not None, seconds, lambda: self.log)
        assert event in self.log, self.log

    def _runc(self, *arguments: str) -> list[str]:
        return [find_program("runc", "runc"), *arguments]


@contextlib.contextmanager
def mounted(buildah: Callable[..., str], name: str) -> Iterator[Image]:
    """Mount an image for the time of the tests; yield an `Image`."""
    config = json.loads(buildah("inspect", "--type", "image", name))["Docker"]["config"]
    container = buildah("from", "--pull-never", name)
    try:
        yield Image(Path(buildah("mount", container)), config)
    finally:
        buildah("rm", container)


def _specification(image: Image, command: Sequence[str], mounts: Mapping[str, Path]) -> Mapping[str, Any]:
    """Return runc's config.json: https://github.com/opencontainers/runtime-spec/blob/main/config.md."""
    no_shell = [_mount(f"/usr/bin/{shell}", Path("/dev/null"), "ro") for shell in ("dash", "bash")]
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "process": {
            "user": {"uid": USER, "gid": USER},
            "args": command,
            "env": image.config["Env"],
            "cwd": image.config["WorkingDir"],
            "capabilities": {
                kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")
            },
            "noNewPrivileges": True,
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            *(_mount(target, source, "rw") for target, source in mounts.items()),
            *no_shell,
        ],
        # No network namespace: the test talks to it on the loopback.
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]},
    }


def _mount(target: str, source: Path, mode: str) -> Mapping[str, Any]:
    return {"destination": target, "type": "bind", "source": str(source), "options": ["bind", mode]}
