"""The token and the authority, read again whenever their files change: kubelet rotates both."""

import ssl
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import msgspec

from ddnsd.kube.api.errors import UnavailableError

T = TypeVar("T")
_ACCOUNT = "system:serviceaccount:"


class _Stamp(NamedTuple):
    """By what a changed file is known; kubelet replaces the folder behind it, so its inode too."""

    inode: int
    modified: int
    size: int


class _Watched(Generic[T]):
    """What is made of a file, made anew when the file is another."""

    def __init__(self, path: Path, make: Callable[[Path], T]) -> None:
        self._path = path
        self._make = make
        self._stamp: _Stamp | None = None
        self._made: T

    def current(self) -> T:
        try:
            found = self._path.stat()
            stamp = _Stamp(found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._made = self._make(self._path)
                self._stamp = stamp
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror if isinstance(error, OSError) else "not one line of ASCII"
            raise UnavailableError(f"{self._path}: {reason or 'cannot be used'}") from None
        return self._made


class _Claims(msgspec.Struct, frozen=True):
    sub: str = ""


class Credentials:
    """A ServiceAccount's folder."""

    def __init__(self, folder: Path) -> None:
        self._token = _Watched(folder / "token", _read)
        self._authority = _Watched(folder / "ca.crt", _context)
        self._namespace = _Watched(folder / "namespace", _read)

    @property
    def token(self) -> str:
        """The bearer token.

        Raises:
            UnavailableError: the file cannot be read.
        """
        return self._token.current()

    @property
    def account(self) -> str:
        """The ServiceAccount that the token is of, as NAMESPACE:NAME; "" if it does not say.

        Raises:
            UnavailableError: the file cannot be read.
        """
        subject = _subject(self.token)
        return subject.removeprefix(_ACCOUNT) if subject.startswith(_ACCOUNT) else ""

    @property
    def context(self) -> ssl.SSLContext:
        """TLS with the cluster's authority.

        Raises:
            UnavailableError: the file cannot be read, or holds no certificate.
        """
        return self._authority.current()

    @property
    def namespace(self) -> str:
        """The namespace of the pod.

        Raises:
            UnavailableError: the file cannot be read.
        """
        return self._namespace.current()


def _subject(token: str) -> str:
    """Return whose JSON Web Token it is (RFC 7519 §4.1.2), "" of what is none; the API server verifies it."""
    try:
        payload = token.split(".")[1]
        return msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims).sub
    except (IndexError, ValueError):  # msgspec's and binascii's errors are ValueErrors
        return ""


def _read(path: Path) -> str:
    """Return what can stand in a header: whoever refuses to send something else would quote it."""
    text = path.read_text(encoding="ascii").strip()
    if not text.isprintable():
        raise ValueError
    return text


def _context(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))
