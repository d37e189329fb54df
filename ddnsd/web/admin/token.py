"""The admin token, which every request to the admin API carries."""

import hmac

from ...model.tokens import digest


class AdminToken:
    """Knows the token by its SHA-256, in hex, alone."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def reconfigure(self, digest: str) -> None:
        """Let in who has this one, and nobody else, from now on."""
        self._digest = digest

    def admits(self, authorization: str) -> bool:
        """Say whether an Authorization header has it."""
        scheme, _, credentials = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(digest(credentials.strip()), self._digest)
