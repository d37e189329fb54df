"""Token secrets: stored nowhere, known by their SHA-256."""

import hashlib

MIN_SECRET_LENGTH = 16  # characters; what `token create --secret-file` accepts


def digest(secret: str) -> str:
    """Return the lower-case hex SHA-256 of a secret, the only form in which it is kept or compared.

    A look-up by digest takes the same time whatever secret was nearly right.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
