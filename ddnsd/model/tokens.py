"""Token secrets: stored nowhere, known by their SHA-256."""

import hashlib
import re

MIN_SECRET_LENGTH = 16  # characters; what `token create --secret-file` accepts
_DIGEST = re.compile(r"[0-9a-f]{64}")


def digest(secret: str) -> str:
    """Return the lower-case hex SHA-256 of a secret, the only form in which it is kept or compared.

    A look-up by digest takes the same time whatever secret was nearly right.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_digest(text: str) -> bool:
    """Say whether the text is a digest as `digest` writes it."""
    return _DIGEST.fullmatch(text) is not None
