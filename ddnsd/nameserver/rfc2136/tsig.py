"""Signed requests and their answers (TSIG, RFC 8945)."""

import time
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdtypes.ANY.TSIG
import dns.tsig
from dns.rdataclass import ANY
from dns.rdatatype import RdataType

from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.nameserver.wire import CLASS_ANY, HEADER, MAX_MESSAGE, TSIG, Header, Message, pack_record

_FUDGE = 300  # seconds that the clocks may differ (RFC 8945 §10)
_MAX_UNSIGNED = 99  # messages of a transfer between two signed ones (RFC 8945 §5.3.1)


class SignatureError(Exception):
    """The answer to a signed request does not prove where it is from: its signature is not the key's."""


class UnsignedError(SignatureError):
    """It has no signature, or one that only says what was wrong with ours.

    A nameserver that does not accept our signature cannot sign either (RFC 8945 §5.2).
    """


class Verifier:
    """Checks the answer to one request, or one after the other all the messages of a transfer."""

    def __init__(self, key: dns.tsig.Key | None, request_mac: bytes, *, several: bool) -> None:
        """`several` is for transfers: only the first message and the last have to be signed."""
        self._key = key
        self._request_mac = request_mac
        self._several = several
        self._context: Any = None  # what has been digested of a transfer since the last signature
        self._unsigned = 0  # messages since then

    @property
    def is_complete(self) -> bool:
        """Say whether nothing was left unsigned at the end of a transfer."""
        return self._unsigned == 0

    def check(self, message: Message) -> None:
        """Check the next message.

        Raises:
            SignatureError: it is not to be believed.
        """
        if self._key is None:
            return
        if message.additionals and message.additionals[-1].type == TSIG:
            self._validate(self._key, message)
            self._unsigned = 0
        elif self._context is not None and self._unsigned < _MAX_UNSIGNED:
            self._context.update(message.wire)
            self._unsigned += 1
        else:
            raise UnsignedError("the answer is not signed")

    def _validate(self, key: dns.tsig.Key, message: Message) -> None:
        record, wire = message.additionals[-1], message.wire
        try:
            self._context = dns.tsig.validate(
                wire,
                key,
                dns.name.from_text(record.name),
                dns.rdata.from_wire(ANY, RdataType.TSIG, wire, record.start, record.length),
                int(time.time()),
                self._request_mac,
                message.last,
                self._context,
                self._several,
            )
        except dns.tsig.PeerError as error:
            raise UnsignedError(f"{error} ({type(error).__name__})") from error
        except dns.exception.DNSException as error:
            raise SignatureError(f"a bad signature: {type(error).__name__}") from error


class Signer:
    """Signs requests with a nameserver's key, or leaves them as they are where there is none."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        self._key: dns.tsig.Key | None = None
        if settings.key_name:
            self._key = dns.tsig.Key(settings.key_name, settings.key_secret, settings.key_algorithm)

    def sign(self, message: bytes, *, several: bool = False) -> tuple[bytes, Verifier]:
        """Return the message ready to be sent, and what checks its answer.

        Raises:
            ValueError: it is longer than a message may be.
        """
        wire, mac = (message, b"") if self._key is None else _signed(message, self._key)
        if len(wire) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(wire)} octets; {MAX_MESSAGE} at most")
        return wire, Verifier(self._key, mac, several=several)


def _signed(message: bytes, key: dns.tsig.Key) -> tuple[bytes, bytes]:
    """Return the message with its signature as the last record, and the signature's MAC."""
    header = Header(*HEADER.unpack_from(message))
    parts = (key.algorithm, 0, _FUDGE, b"", header.id, 0, b"")
    blank = dns.rdtypes.ANY.TSIG.TSIG(ANY, RdataType.TSIG, *parts)
    tsig, _ = dns.tsig.sign(message, key, blank, int(time.time()))
    record = pack_record(key.name.to_digestable(), TSIG, CLASS_ANY, 0, tsig.to_digestable())
    signed = header._replace(additionals=header.additionals + 1)
    return signed.pack() + message[HEADER.size :] + record, tsig.mac
