"""Where a nameserver is, and the key that it knows."""

from dataclasses import dataclass, field

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512")  # RFC 8945 §6 without what is weak or truncated


@dataclass(frozen=True, slots=True)
class Rfc2136Settings:
    """One nameserver. Times in seconds.

    `host` is a name or an address; `key_name` "" sends everything unsigned, for nameservers that go by
    addresses. Of the `max_connections` one is for queries, `max_transfers` are for transfers.

    After `idle_timeout` an unused connection is closed, before the nameserver does it: the outcome of a
    request that crosses the nameserver's close is unknown. Measured, by default: BIND closes after 30 s
    (`tcp-idle-timeout`), Knot after 10 s (`tcp-idle-timeout`), PowerDNS after 5 s.

    Raises:
        ValueError: an algorithm that is not in `ALGORITHMS`, or a key without a secret.
    """

    name: str
    host: str
    port: int
    key_name: str
    key_algorithm: str
    key_secret: bytes = field(repr=False)
    connect_timeout: float = 0.5
    timeout: float = 5.0
    idle_timeout: float = 3.0
    max_connections: int = 32
    max_transfers: int = 4

    def __post_init__(self) -> None:
        if not self.key_name:
            return
        if self.key_algorithm not in ALGORITHMS:
            raise ValueError(f"TSIG algorithm {self.key_algorithm!r}: use one of {', '.join(ALGORITHMS)}")
        if not self.key_secret:
            raise ValueError(f"the TSIG key {self.key_name!r} has no secret")
