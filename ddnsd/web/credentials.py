"""The token in an Authorization header."""

import base64
import binascii

from tornado.httputil import HTTPHeaders


def token_of(headers: HTTPHeaders) -> str:
    """Return the token, "" where there is none: that of `Bearer`, the password of `Basic` (RFC 7617).

    Whatever stands as the user counts for nothing: clients send an account, a host or a mail address.
    """
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip()
        case "basic":
            return _password(credentials.strip())
    return ""


def _password(encoded: str) -> str:
    try:
        octets = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):  # the latter: not ASCII
        return ""
    return octets.partition(b":")[2].decode("utf-8", "replace").strip()
