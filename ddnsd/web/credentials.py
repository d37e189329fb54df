"""The token in an Authorization header."""

import base64
import binascii

from tornado.httputil import HTTPHeaders

_MAX_HEADER = 8192  # characters; a token has at most 1024


def token_of(headers: HTTPHeaders) -> str:
    """Return the token, "" where there is none: that of `Bearer`, the password of `Basic` (RFC 7617).

    Whatever stands as the user counts for nothing: clients send an account, a host or a mail address.
    """
    scheme, credentials = _authorization(headers)
    return _password(credentials) if scheme == "basic" else bearer_of(headers)


def is_basic(headers: HTTPHeaders) -> bool:
    """Say whether there are Basic credentials, which a browser remembers and sends by itself."""
    return _authorization(headers)[0] == "basic"


def bearer_of(headers: HTTPHeaders) -> str:
    """Return the token of `Bearer` (RFC 6750 §2.1), "" where there is none."""
    scheme, credentials = _authorization(headers)
    return credentials if scheme == "bearer" else ""


def _authorization(headers: HTTPHeaders) -> tuple[str, str]:
    """Return the scheme in lower case, and what follows it; nothing of a header that is too long."""
    header = headers.get("Authorization", "")
    scheme, _, credentials = header.partition(" ") if len(header) <= _MAX_HEADER else ("", "", "")
    return scheme.lower(), credentials.strip()


def _password(encoded: str) -> str:
    try:
        octets = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):  # the latter: not ASCII
        return ""
    return octets.partition(b":")[2].decode("utf-8", "replace").strip()
