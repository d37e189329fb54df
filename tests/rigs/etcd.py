"""etcd: a cluster of one or three members on the loopback, for one test or one module.

Versions: Debian's package, and what script/install-etcd built. Data lie in memory where there is a
/dev/shm: a killed member loses nothing of it, and no test waits for the disk.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self

from ddnsd.etcd import EtcdClientSettings, EtcdUser, Tls
from tests.rigs.certificates import Certificates
from tests.rigs.etcdctl import Etcdctl
from tests.rigs.place import LOOPBACK, Place
from tests.rigs.ports import PortLease
from tests.rigs.process import ServerProcess, find_program

_START = 60.0  # seconds that a start may take, on a busy machine
_BUILT = Path(__file__).parents[2] / ".cache"
_MEMORY = Path("/dev/shm")


class Version(NamedTuple):
    """An etcd to test with: where its programs are, None for those on the PATH (Debian's)."""

    name: str
    folder: Path | None

    def program(self, name: str) -> str:
        """Return a program's path; without it skip the test."""
        return str(self.folder / name) if self.folder else find_program(name, _PACKAGES[name])


_PACKAGES = {"etcd": "etcd-server", "etcdctl": "etcd-client"}


def versions() -> list[Version]:
    """Return Debian's etcd, and those that script/install-etcd has built."""
    built = (Version(path.name.removeprefix("etcd-"), path) for path in sorted(_BUILT.glob("etcd-*")))
    return [Version("debian", None), *built]


class Member:
    """One etcd process."""

    def __init__(self, rig: "EtcdRig", name: str, place: Place) -> None:
        self.name = name
        self.place = place
        self.folder = rig.folder / name
        self._rig = rig
        self._ports = PortLease(), PortLease()
        self._process: ServerProcess | None = None

    @property
    def client_port(self) -> int:
        return self._ports[0].port

    @property
    def url(self) -> str:
        return f"{self._rig.scheme}://{self.place.address}:{self.client_port}"

    @property
    def peer_url(self) -> str:
        return f"http://{self.place.address}:{self._ports[1].port}"

    def launch(self) -> None:
        """Start it, with what data it has; it joins the others by itself."""
        self._process = ServerProcess(self._rig.command(self), self._rig.folder / f"{self.name}.log")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.stop()

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.signal(signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it for as long as the block takes."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def release(self) -> None:
        """End it and let others have its ports."""
        self.kill()
        for port in self._ports:
            port.release()


class EtcdRig:
    """A cluster; `with EtcdRig(version, members=3) as rig:` starts it and leaves nothing behind.

    `tls` asks clients for a certificate. Peers talk plaintext. `places` are the members', and as many.
    """

    def __init__(
        self,
        version: Version,
        members: int = 1,
        *,
        places: Sequence[Place] = (),
        tls: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        self.version = version
        self.folder = Path(tempfile.mkdtemp(prefix="ddnsd-etcd-", dir=_MEMORY if _MEMORY.is_dir() else None))
        addresses = [place.address for place in places]
        self.certificates = Certificates(self.folder / "tls", addresses=addresses) if tls else None
        self.scheme = "https" if tls else "http"
        self.token = "rig"  # of the cluster: with the peers' URLs it makes the cluster id
        self.password: str | None = None
        self._options = options
        self.members = [
            Member(self, f"m{number}", place) for number, place in enumerate(places or [LOOPBACK] * members)
        ]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # also a skipped test: leave nothing behind
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def settings(self) -> EtcdClientSettings:
        """All members, and what it takes to be let in."""
        tls = Tls(*self.certificates.client) if self.certificates else None
        credentials = EtcdUser("root", self.password) if self.password else None
        return EtcdClientSettings(tuple(member.url for member in self.members), tls, credentials)

    def settings_of(self, *endpoints: str) -> EtcdClientSettings:
        """Return the settings with other endpoints."""
        return replace(self.settings, endpoints=endpoints)

    def start(self) -> None:
        """Start all members and wait until the cluster answers."""
        for member in self.members:
            member.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until every member answers a linearizable read."""
        for member in self.members:
            deadline = time.monotonic() + _START
            while self.ctl_of(member).run("get", "health").returncode:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{member.name} does not answer:\n{self.log_text()}")

    def add_learner(self) -> Member:
        """Add a member that does not vote, and wait until it answers."""
        learner = Member(self, "learner", self.members[0].place)
        self.ctl("member", "add", learner.name, "--learner", f"--peer-urls={learner.peer_url}")
        self.members.append(learner)
        self._options += ("--initial-cluster-state", "existing")
        learner.launch()
        deadline = time.monotonic() + _START
        while self.ctl_of(learner).run("endpoint", "status").returncode:
            assert time.monotonic() < deadline, self.log_text()
        return learner

    def leader(self) -> Member:
        """Return the member that leads the cluster."""
        statuses = {
            member.name: self.ctl("endpoint", "status", "-w", "fields", member=member)
            for member in self.members
        }
        for member in self.members:
            ids = dict(re.findall(r'"(MemberID|Leader)" : (\d+)', statuses[member.name]))
            if ids["MemberID"] == ids["Leader"]:
                return member
        raise RuntimeError("no member leads")

    def move_leader(self, leader: Member, successor: Member) -> None:
        """Let another member lead."""
        status = self.ctl("endpoint", "status", "-w", "fields", member=successor)
        ids = dict(re.findall(r'"(MemberID)" : (\d+)', status))
        self.ctl("move-leader", f"{int(ids['MemberID']):x}", member=leader)

    def ctl(self, *arguments: str, member: Member | None = None) -> str:
        """Run etcdctl on a member and return what it says."""
        done = self.ctl_of(member or self.members[0]).run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ctl_of(self, member: Member) -> Etcdctl:
        """Return etcdctl for a member."""
        return Etcdctl(
            self.version.program("etcdctl"),
            f"--endpoints={member.url}",
            "--command-timeout=2s",
            *(self.certificates.client_options() if self.certificates else ()),
            environ={"ETCDCTL_USER": f"root:{self.password}"} if self.password else {},
        )

    def enable_authentication(self, password: str) -> None:
        """Add the user root and ask for users from now on."""
        self.ctl("user", "add", f"root:{password}")
        self.ctl("user", "grant-role", "root", "root")
        self.ctl("auth", "enable")
        self.password = password

    def change_password(self, user: str, password: str) -> None:
        """Give a user another password; its tokens are over."""
        ctl = self.ctl_of(self.members[0])
        done = ctl.run("user", "passwd", user, "--interactive=false", stdin=password)
        assert done.returncode == 0, done.stderr

    def restore(self, snapshot: Path, token: str, *options: str) -> None:
        """Stop, replace all data by a snapshot's, start; `options` are etcdutl's."""
        self.token = token
        (member,) = self.members
        member.kill()
        shutil.rmtree(member.folder)
        name = "etcdctl" if self.version.folder is None else "etcdutl"
        subprocess.run(
            [
                self.version.program(name),
                "snapshot",
                "restore",
                str(snapshot),
                "--data-dir",
                str(member.folder),
                "--name",
                member.name,
                "--initial-cluster",
                self._cluster(),
                "--initial-cluster-token",
                token,
                "--initial-advertise-peer-urls",
                member.peer_url,
                *options,
            ],
            env={**os.environ, "ETCDCTL_API": "3"},
            check=True,
            capture_output=True,
        )
        self.start()

    def command(self, member: Member) -> list[str]:
        """Return the command that runs a member in the foreground."""
        listen = f"{member.url},{self.scheme}://[::1]:{member.client_port}"
        return member.place.command(
            self.version.program("etcd"),
            "--name",
            member.name,
            "--data-dir",
            str(member.folder),
            "--listen-client-urls",
            listen,
            "--advertise-client-urls",
            member.url,
            "--listen-peer-urls",
            member.peer_url,
            "--initial-advertise-peer-urls",
            member.peer_url,
            "--initial-cluster",
            self._cluster(),
            "--initial-cluster-token",
            self.token,
            *(self.certificates.server_options() if self.certificates else ()),
            *self._options,
        )

    def close(self) -> None:
        """Leave nothing behind."""
        for member in self.members:
            member.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        """Return all that the members wrote."""
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def _cluster(self) -> str:
        return ",".join(f"{member.name}={member.peer_url}" for member in self.members)
