"""Certificates for a test: an authority, a server's for the loopback, a client's."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.rigs.process import find_program

_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"


class Certificates:
    """Files and PEM texts, made with openssl; valid for an hour from now on a day's clock.

    The server's is good for the loopback, and for more `addresses` and `names`.
    """

    def __init__(self, folder: Path, *, addresses: Sequence[str] = (), names: Sequence[str] = ()) -> None:
        self.folder = folder
        folder.mkdir()
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.pem", "-subj", "/CN=authority")
        more = (*(f",IP:{address}" for address in addresses), *(f",DNS:{name}" for name in names))
        (folder / "names").write_text(_NAMES + "".join(more))
        for name in ("server", "client"):
            self._openssl("req", "-new", *self._key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
            self.renew(name)

    def renew(self, name: str, days: int = 1) -> None:
        """Make the server's or the client's certificate anew; one of -1 days is over since yesterday.

        etcd reads its own for each connection.
        """
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "names", "-out", f"{name}.pem", "-days", str(days),
        )  # fmt: skip

    @property
    def client(self) -> tuple[bytes, bytes, bytes]:
        """Authority, certificate and key, as PEM."""
        ca, certificate, key = (
            (self.folder / name).read_bytes() for name in ("ca.pem", "client.pem", "client.key")
        )
        return ca, certificate, key

    def server_options(self) -> tuple[str, ...]:
        """Return etcd's options."""
        ca, certificate, key = (str(self.folder / name) for name in ("ca.pem", "server.pem", "server.key"))
        return ("--cert-file", certificate, "--key-file", key, "--trusted-ca-file", ca, "--client-cert-auth")

    def client_options(self) -> tuple[str, ...]:
        """Return etcdctl's options."""
        ca, certificate, key = (str(self.folder / name) for name in ("ca.pem", "client.pem", "client.key"))
        return ("--cacert", ca, "--cert", certificate, "--key", key)

    def _key(self, name: str) -> tuple[str, ...]:
        return (
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            f"{name}.key",
        )

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            [find_program("openssl", "openssl"), *arguments], cwd=self.folder, check=True, capture_output=True
        )
