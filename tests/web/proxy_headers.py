"""PROXY headers as a proxy sends them, for tests."""

from ipaddress import IPv4Address, IPv6Address, ip_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"


def version_1(source: str, target: str = "", port: int = 56324) -> bytes:
    """Return the line for a TCP connection."""
    address = ip_address(source)
    return f"PROXY TCP{address.version} {source} {target or source} {port} 443\r\n".encode()


def version_2(source: str, extensions: bytes = b"", transport: int = 1) -> bytes:
    """Return the binary header for a connection; a stream by default."""
    address = ip_address(source)
    family = 1 if address.version == 4 else 2
    return binary(0x21, family << 4 | transport, _ends(address) + extensions)


def binary(command: int, family: int, rest: bytes = b"") -> bytes:
    return SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


def extension(kind: int, value: bytes) -> bytes:
    """Return one TLV."""
    return bytes((kind,)) + len(value).to_bytes(2, "big") + value


def _ends(address: IPv4Address | IPv6Address) -> bytes:
    return 2 * address.packed + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
