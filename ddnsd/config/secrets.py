"""Secret files. No message, repr or log shows what they hold."""

import base64
import binascii
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ddnsd.config.parse import parse_key_name

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")
"""TSIG algorithms that are neither broken nor truncated (RFC 8945 §6)."""

MAKE_KEY = f"tsig-keygen -a {ALGORITHMS[0]} ddnsd"
"""The command, of BIND's, that prints a new key statement."""

_MAX_BYTES = 65536
_MIN_SECRET = 16  # bytes; RFC 8945 §10 asks for as many as the digest has, real keys are often shorter
_KEY_STATEMENT = re.compile(r'\s*key\s+"?(?P<name>[\w.-]+)"?\s*\{(?P<body>[^{}]*)\}\s*;?\s*')
_COMMENT = re.compile(r'("[^"\n]*")|//[^\n]*|#[^\n]*|/\*.*?\*/', re.DOTALL)  # a quoted "a//b" is none
_URL_USER = re.compile(r"//[^/\s]*@")
_PASTED = re.compile(r"(?:[A-Za-z0-9+/]{4}){5,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A TSIG key as its file has it; `name` and `algorithm` are "" where the file holds the secret alone."""

    path: Path
    secret: bytes = field(repr=False)
    name: str = ""
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """What a file holds, a password or PEM with perhaps a private key, and where it was."""

    path: Path
    content: bytes = field(repr=False)


def read_pem_file(path: Path) -> SecretFile:
    """Read a PEM file; what it holds is checked where it is known what it is for.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return SecretFile(path, path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; name a PEM file") from error


def read_key_file(path: Path) -> KeyFile:
    """Read a TSIG secret: base64 alone, or `key "name" { algorithm …; secret "…"; };` as tsig-keygen writes.

    Raises:
        ValueError: no such file, or not such a content; the message shows nothing of it.
    """
    text = _read(path)
    match = _KEY_STATEMENT.fullmatch(_COMMENT.sub(r"\1", text))
    if match is None:
        return KeyFile(path, _decode(text, path))
    options = dict(_options(match["body"]))
    if "secret" not in options:
        raise ValueError(f"{path} has a key statement without a secret")
    name, algorithm = parse_key_name(match["name"]), options.get("algorithm", "").lower()
    return KeyFile(path, _decode(options["secret"], path), name, algorithm)


def parse_algorithm(text: str) -> str:
    """Return a TSIG algorithm's name.

    Raises:
        ValueError: unknown, or too weak.
    """
    if text.lower() not in ALGORITHMS:
        raise ValueError(f"write one of {', '.join(ALGORITHMS)}")
    return text.lower()


def looks_pasted(text: str) -> bool:
    """Say whether somebody seems to have written a secret where the path of its file belongs."""
    return _PASTED.fullmatch(text) is not None


def holds_password(text: str) -> bool:
    """Say whether a text is a URL with a user in it, and perhaps a password."""
    return _URL_USER.search(text) is not None


def read_password_file(path: Path) -> SecretFile:
    """Read a password: the file's only line.

    Raises:
        ValueError: no such file, or no such content; the message shows nothing of it, nor the path.
    """
    remedy = "name the file that holds the password, on one line"
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path at all
        reason = (error.strerror or "") if isinstance(error, OSError) else "not UTF-8"
        raise ValueError(f"cannot be read ({reason}): {remedy}") from None
    if not password or not password.isprintable():
        raise ValueError(f"not a password of one line: {remedy}")
    return SecretFile(path, password.encode())


def check_authority(authority: Path) -> None:
    """Check that a file holds certificates to trust.

    Raises:
        ValueError: it does not.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(authority)
    except OSError as error:
        raise ValueError(f"{authority} does not load: {error.strerror or error.args[0]}") from error


def check_certificate(certificate: Path, key: Path) -> None:
    """Check that a TLS certificate and its key load together.

    Raises:
        ValueError: they do not.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A password, as otherwise OpenSSL asks for one on the terminal and waits.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = error.strerror or error.args[0] if isinstance(error, OSError) else "the key needs a password"
        raise ValueError(f"{certificate} and {key} do not load together: {reason}") from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        remedy = (
            f"make it with {MAKE_KEY}" if isinstance(error, FileNotFoundError) else "let ddnsd's user read it"
        )
        raise ValueError(f"cannot read {path}: {error.strerror}: {remedy}") from error
    if len(content) > _MAX_BYTES or not content.isascii():
        raise ValueError(f"{path} is not a key file: write base64 or what tsig-keygen prints")
    if not content.strip():
        raise ValueError(f"{path} is empty: write what {MAKE_KEY} prints")
    return content.decode("ascii")


def _options(body: str) -> Iterator[tuple[str, str]]:
    for statement in body.split(";"):
        word, _, value = statement.strip().partition(" ")
        yield word, value.strip().strip('"')


def _decode(text: str, path: Path) -> bytes:
    try:
        secret = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{path} holds no base64: write what tsig-keygen prints") from error
    if len(secret) < _MIN_SECRET:
        raise ValueError(f"{path} holds a secret of {len(secret)} bytes, at least {_MIN_SECRET} are needed")
    return secret
