"""A container's process: in the pod's network, with a root of its own, as its user and without rights."""

import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.rigs.kubernetes.kubelet.images import Image
from tests.rigs.place import Place
from tests.rigs.process import ServerProcess

_SYSTEM = ("/usr", "/etc/ssl", "/etc/ld.so.cache", "/etc/nsswitch.conf")  # of any image
_LINKS = {"/bin": "usr/bin", "/sbin": "usr/sbin", "/lib": "usr/lib", "/lib64": "usr/lib64"}
_ENDED = 137  # what is left of one whose end nobody saw


class Mount(NamedTuple):
    """A folder or file of this machine at a path of the container."""

    source: Path
    path: str
    read_only: bool = False


class Sandbox(NamedTuple):
    """What a container runs in. `user` is a security context, of the pod and the container together."""

    hostname: str
    place: Place
    image: Image
    mounts: Sequence[Mount]
    environment: Mapping[str, str]
    security: Mapping[str, Any]
    folder: Path  # for the root and the log


class Process:
    """A container that runs, or has run."""

    def __init__(self, sandbox: Sandbox, command: Sequence[str]) -> None:
        self._sandbox = sandbox
        script = sandbox.folder / "start.sh"
        script.write_text(_script(sandbox, command))
        self.log = sandbox.folder / "log"
        inside = sandbox.place.command("unshare", "--mount", "--uts", "--propagation", "private")
        self._process = ServerProcess([*inside, "sh", "-e", str(script)], self.log)

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def code(self) -> int:
        """The exit status, as a container runtime says it."""
        code = self._process.code
        return _ENDED if code is None else code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        self._process.signal(number)

    def kill(self) -> None:
        self._process.kill()

    def execute(self, *command: str) -> "subprocess.Popen[str]":
        """Start another process in the container, as `kubectl exec` and hooks do."""
        inside = ("nsenter", f"--target={self._process.pid}", "--mount", "--uts", "--net", "--root")
        return subprocess.Popen(
            [*inside, *_as_user(self._sandbox), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _script(sandbox: Sandbox, command: Sequence[str]) -> str:
    """Build the root in a tmpfs, which goes with the mount namespace; then become the container."""
    root = sandbox.folder / "root"
    root.mkdir(exist_ok=True)
    mounts = [
        *(Mount(Path(path), path, True) for path in _SYSTEM if Path(path).exists()),
        *(Mount(source, path, True) for path, source in sandbox.image.folders.items()),
        *sandbox.mounts,
    ]
    links = {**_LINKS, **sandbox.image.links}
    lines = [
        f"mount -t tmpfs -o mode=755 tmpfs {root}",
        f"mkdir {root}/proc {root}/dev",
        f"mount --rbind /proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        *(
            f"mkdir -p {root}{Path(path).parent} && ln -s {target} {root}{path}"
            for path, target in links.items()
        ),
        *(line for mount in mounts for line in _bind(root, mount)),
        f"mkdir -p {root}{sandbox.image.workdir}",
        *([f"mount -o remount,bind,ro {root}"] if sandbox.security.get("readOnlyRootFilesystem") else []),
        f"hostname {sandbox.hostname}",
        f"exec chroot {root} {shlex.join([*_as_user(sandbox), *command])}",
    ]
    return "\n".join(lines)


def _bind(root: Path, mount: Mount) -> list[str]:
    source, target = shlex.quote(str(mount.source)), shlex.quote(f"{root}{mount.path}")
    if mount.source.is_dir():
        make = f"mkdir -p {target}"
    else:
        make = f'mkdir -p "$(dirname {target})" && touch {target}'
    lock = [f"mount -o remount,bind,ro {target}"] if mount.read_only else []
    return [make, f"mount --bind {source} {target}", *lock]


def _as_user(sandbox: Sandbox) -> list[str]:
    """Return the command that gives up all rights and runs another, with no variables but the container's."""
    security = sandbox.security
    group = security.get("fsGroup", security["runAsGroup"])
    return [
        "setpriv",
        f"--reuid={security['runAsUser']}",
        f"--regid={security['runAsGroup']}",
        f"--groups={group}",
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--pdeathsig=KILL",  # the one of before does not outlive the change of the user
        "env",
        "--ignore-environment",
        f"--chdir={sandbox.image.workdir}",
        *(f"{name}={value}" for name, value in sandbox.environment.items()),
    ]
