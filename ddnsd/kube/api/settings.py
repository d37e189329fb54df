"""Where the API server is, and how long it may take. Times in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True)
class Settings:
    """One API server. `credentials` is a folder with `token`, `ca.crt` and `namespace`, as pods find it.

    `timeout` bounds a call, `list_timeout` each page of a list. A watch is ended by the API server after
    `watch_timeout` and begun again from where it was; a connection that says nothing for longer is given up.
    Each address of the host gets `connect_timeout` for TCP and TLS.

    Raises:
        ValueError: the URL is not https.
    """

    server: str
    credentials: Path = CREDENTIALS
    timeout: float = 10.0
    list_timeout: float = 30.0
    watch_timeout: int = 60
    connect_timeout: float = 3.0
    user_agent: str = "ddnsd"

    def __post_init__(self) -> None:
        url = urlsplit(self.server)
        if url.scheme != "https" or not url.hostname or url.path.strip("/") or url.query or url.username:
            raise ValueError("the API server's URL: write https://host or https://host:6443")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        url = urlsplit(self.server)
        assert url.hostname is not None
        return url.hostname, url.port or DEFAULT_PORT

    @property
    def authority(self) -> str:
        """Host and port as HTTP's Host header has them."""
        return urlsplit(self.server).netloc


def in_cluster_server(environ: Mapping[str, str]) -> str:
    """Return the URL that a pod finds in its environment.

    Raises:
        ValueError: it is not there.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ValueError("KUBERNETES_SERVICE_HOST is not set: not in a pod, so name the API server's URL")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
