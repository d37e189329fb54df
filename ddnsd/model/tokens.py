"""Token secrets: stored nowhere, known by their SHA-256."""

import hashlib

MIN_SECRET_LENGTH = 16  # characters
MAX_SECRET_LENGTH = 1024
MADE_SECRET_LENGTH = 43
"""Characters of a secret that is made here: 256 bits in base64url. Some routers cut passwords at 31 or 32."""
SHORTEST_MADE_SECRET = 22  # characters: 132 bits


class InvalidSecretError(ValueError):
    """What somebody brought as a secret cannot be one; the message does not show it."""


def digest(secret: str) -> str:
    """Return the lower-case hex SHA-256 of a secret, the only form in which it is kept or compared.

    A look-up by digest takes the same time whatever secret was nearly right.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_secret(raw: bytes) -> str:
    """Return a secret that was made elsewhere, without the white space around it.

    Raises:
        InvalidSecretError: it is too short or too long, or not one line of printable characters.
    """
    try:
        secret = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidSecretError("it is not UTF-8 text") from error
    if not MIN_SECRET_LENGTH <= len(secret) <= MAX_SECRET_LENGTH:
        # Not how many: the message may be shown to who may not read the secret.
        limits = f"{MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters"
        raise InvalidSecretError(f"a secret has {limits}")
    if not secret.isprintable():
        raise InvalidSecretError("a secret is one line of printable characters")
    return secret
