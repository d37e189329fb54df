"""The values of ACME challenges."""

import re

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """Say whether a certificate authority can ask for this TXT: a SHA-256 in base64url (RFC 8555 §8.4)."""
    return _VALUE.fullmatch(text) is not None
