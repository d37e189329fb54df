"""The API server: RBAC on, admission as by default, ServiceAccounts with real tokens."""

import secrets
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from tests.rigs.certificates import Certificates
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.kubernetes.administrator import Administrator
from tests.rigs.kubernetes.kubectl import Kubectl, write_kubeconfig
from tests.rigs.kubernetes.programs import kubernetes_program
from tests.rigs.kubernetes.projected import ProjectedFolder
from tests.rigs.place import LOOPBACK, Place
from tests.rigs.ports import PortLease
from tests.rigs.process import ServerProcess

_START = 60.0  # seconds that a start may take, on a busy machine
_ADMINS = "system:masters"  # the group that RBAC lets do everything


class User(NamedTuple):
    """A user of the token file."""

    name: str
    token: str
    group: str


class KubernetesRig(Administrator):
    """`with KubernetesRig() as rig:` starts etcd and API server, and leaves nothing behind.

    `users` go into the token file beside the admin; `options` are kube-apiserver's.
    """

    def __init__(
        self, *, place: Place = LOOPBACK, users: Sequence[User] = (), options: Sequence[str] = ()
    ) -> None:
        self.place = place
        admin = User("admin", secrets.token_urlsafe(24), _ADMINS)
        self._options = tuple(options)
        self._program = kubernetes_program("kube-apiserver")  # may skip: before anything is made
        self._etcd = EtcdRig(versions()[-1])  # the newest that is there
        self.folder = self._etcd.folder
        self._lease = PortLease()
        self._process: ServerProcess | None = None
        self._certificates = Certificates(self.folder / "tls", addresses=(place.address,))
        self.authority = self.folder / "tls" / "ca.pem"
        lines = (f"{user.token},{user.name},{user.name},{user.group}\n" for user in (admin, *users))
        (self.folder / "tokens").write_text("".join(lines))
        super().__init__(f"{place.address}:{self._lease.port}", self.authority, admin.token)

    @property
    def url(self) -> str:
        return f"https://{self.address}"

    def __enter__(self) -> Self:
        try:
            self._etcd.start()
            self.start()
        except BaseException:  # also a skipped test: leave nothing behind
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the API server and wait until it is ready."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start the API server; in the main thread, because it goes with the thread that starts it."""
        self._process = ServerProcess(self._command(), self.folder / "kube-apiserver.log")

    def wait(self) -> None:
        """Wait until the API server is ready."""
        assert self._process is not None
        try:
            self._process.wait_until(self.ready, _START, "kube-apiserver is ready")
        except AssertionError as error:
            raise RuntimeError(f"kube-apiserver does not start:\n{self.log_text()}") from error

    def kill(self) -> None:
        """SIGKILL the API server; etcd goes on."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Kill it if it runs, and start it on its port."""
        self.kill()
        self.start()

    def forget_history(self) -> None:
        """Restart it with all history gone: a watch from any earlier resourceVersion answers 410."""
        self.kill()
        self.compact()
        self.start()

    def compact(self) -> None:
        """Make etcd forget its history; the API server has recent history in its own memory too."""
        revision = self._etcd.ctl_of(self._etcd.members[0]).ask("get", "any")["header"]["revision"]
        self._etcd.ctl("compact", str(revision))

    def back_up(self) -> Path:
        """Return a backup of all that the API server has stored."""
        path = self.folder / f"backup-{secrets.token_hex(4)}"
        self._etcd.ctl("snapshot", "save", str(path))
        return path

    def restore(self, backup: Path) -> None:
        """Put a backup in the place of all that is stored: resourceVersions go back."""
        self.kill()
        self._etcd.restore(backup, backup.name)
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for as long as the block takes: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.stop()
        try:
            yield
        finally:
            self._process.signal(signal.SIGCONT)

    def kubectl(self, token: str | None = None) -> Kubectl:
        """Return kubectl, as admin or with a token."""
        path = self.folder / f"kubeconfig-{secrets.token_hex(4)}"
        return Kubectl(write_kubeconfig(path, self.url, self.authority, token or self.token))

    def mount(self, folder: ProjectedFolder, token: str, namespace: str = "default") -> None:
        """Lay out credentials as a pod finds them: `token`, `ca.crt`, `namespace`."""
        folder.write({"token": token, "ca.crt": self.authority.read_text(), "namespace": namespace})

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._lease.release()
        self._etcd.close()

    def log_text(self) -> str:
        """Return all that the API server wrote."""
        return (self.folder / "kube-apiserver.log").read_text(errors="replace")

    def _command(self) -> list[str]:
        tls = self.folder / "tls"
        return self.place.command(
            self._program,
            f"--etcd-servers={self._etcd.members[0].url}",
            "--etcd-compaction-interval=0",  # when a test says so
            f"--bind-address={self.place.address}",
            f"--secure-port={self._lease.port}",
            f"--tls-cert-file={tls / 'server.pem'}",
            f"--tls-private-key-file={tls / 'server.key'}",
            f"--cert-dir={tls}",
            f"--token-auth-file={self.folder / 'tokens'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={tls / 'server.pem'}",
            f"--service-account-signing-key-file={tls / 'server.key'}",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--endpoint-reconciler-type=none",  # an endpoint is not allowed to be on the loopback
            "--profiling=false",
            *self._options,
        )
