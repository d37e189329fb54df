"""The words of dyndns2 (https://help.dyn.com/return-codes.html), and the statuses that go with them.

A client understands the word or the status, seldom both. ddclient takes every status but 2xx as a failure
and reads no further. inadyn ends for good on `911`, `dnserr` or `abuse` with status 200, and on a 429; on a
503 it comes again. So what may be better next time is a 503, and what a person has to mend is a 200 with its
word.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ddnsd.model.request import Answer, Limited, Moved, Refusal, Unchanged, Updated, is_change

BAD_AUTH, ABUSE, NO_HOST, NOT_FQDN, NUM_HOST, BAD_IP = (
    "badauth",
    "abuse",
    "nohost",
    "notfqdn",
    "numhost",
    "badip",
)
DNS_ERROR, TROUBLE = "dnserr", "911"
_TEMPORARY = (DNS_ERROR, TROUBLE)

WORDS: Mapping[Refusal, str] = {
    Refusal.MISSING_TOKEN: BAD_AUTH,
    Refusal.UNKNOWN_TOKEN: BAD_AUTH,
    Refusal.BANNED: ABUSE,
    Refusal.SUSPENDED: TROUBLE,
    Refusal.NOT_FOUND: NO_HOST,
    Refusal.RECORD_DISABLED: NO_HOST,
    Refusal.ZONE_DISABLED: NO_HOST,
    Refusal.FIRST_LEVEL: NOT_FQDN,
    Refusal.MISSING_DOMAIN: NUM_HOST,
    Refusal.INVALID_IP: BAD_IP,
    Refusal.FAMILY_MISMATCH: BAD_IP,
    Refusal.NAMESERVER_FAILED: DNS_ERROR,
    Refusal.STORE_FAILED: TROUBLE,
}


class Reply(NamedTuple):
    """An answer as it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


FORGED = Reply(403, BAD_AUTH.encode())
"""What another site's page is told: no browser asks for credentials at a 403."""


def reply_to(answers: Sequence[Answer]) -> Reply:
    """Return the answer to a call: a line for each host, in their order.

    What a prefix has moved counts for every one.
    """
    waits = [answer.retry_after for answer in answers if isinstance(answer, Limited)]
    done = (answer for answer in answers if not isinstance(answer, Refusal | Limited))
    moves = [result for results in done for result in results if isinstance(result, Moved)]
    return reply_of([line(answer, moves) for answer in answers], retry_after=max(waits, default=0))


def reply_of(lines: Sequence[str], *, retry_after: float = 0) -> Reply:
    """Return the answer with these lines; `retry_after` in seconds, 0: when the client likes.

    Wrong credentials are wrong for all hosts, and said once.
    """
    if any(word in _TEMPORARY for word in lines):
        later = {"Retry-After": str(math.ceil(retry_after))} if retry_after > 0 else {}
        return Reply(503, "\n".join(lines).encode(), later)
    if BAD_AUTH in lines:
        return Reply(401, BAD_AUTH.encode(), {"WWW-Authenticate": 'Basic realm="ddnsd"'})
    return Reply(200, "\n".join(lines).encode())


def line(answer: Answer, moves: Sequence[Moved]) -> str:
    """Return what one host is told: a word, and after `good` and `nochg` its addresses.

    A host that has none any more is told the word alone, which is what clients look at: none takes an
    address from there that it has sent itself. Where only a prefix was sent, that stands there.
    """
    if isinstance(answer, Refusal):
        return WORDS[answer]
    if isinstance(answer, Limited):
        return TROUBLE
    word = "good" if any(map(is_change, (*answer, *moves))) else "nochg"
    addresses = [result.ip for result in answer if isinstance(result, Updated | Unchanged)]
    told = ",".join(filter(None, addresses or [move.prefix for move in moves]))
    return f"{word} {told}" if told else word
