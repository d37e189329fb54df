"""What hostile requests cost: in proportion to their length, and no parsing once the limits refuse them."""

import asyncio
import sys
from collections.abc import Awaitable, Iterable
from pathlib import Path
from types import FrameType

import pytest

from ddnsd.model.ratelimit import Rate
from tests.web.hostile import KNOWN, MOST_IN_ONE, PARAMETERS, UNKNOWN, Attack, Victim, attacks, victim

_SLACK = 0.0005  # seconds: what is so cheap at its largest may grow as it likes
_TRIES = (1, 5, 5, 5)  # of each request, of which the least counts, in one look after the other
# Where names, addresses, prefixes, challenges and labels are read; and what stands for a bucket's name there.
_PARSERS = ("request.py", "names.py", "addresses.py", "prefixes.py", "authorization.py")
_NO_PARSERS = ("network_of", "_network_of", "label_count", "result_of")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("token", [UNKNOWN, KNOWN], ids=["a stranger", "a client"])
async def test_twice_as_much_filler_costs_twice_as_much_at_most(tmp_path: Path, token: str) -> None:
    async with victim(tmp_path) as there:
        suspects = [(attack, most) for attack in attacks() for most in (MOST_IN_ONE, attack.most)]
        for tries in _TRIES:  # what other work on the machine made dear once, it does not make dear again
            suspects = [each for each in suspects if await _is_steep(there, token, *each, tries)]
    assert not [(attack.title, most) for attack, most in suspects]


@pytest.mark.parametrize("token", [UNKNOWN, KNOWN], ids=["a stranger", "a client"])
async def test_nothing_is_parsed_of_what_the_limits_refuse(tmp_path: Path, token: str) -> None:
    async with victim(tmp_path, Rate(0.001, 1)) as there:
        (first, _), *_ = PARAMETERS.values()
        for each in (KNOWN, UNKNOWN):
            message = f"GET /api/ddns/update?{first} HTTP/1.1\r\n\r\n".replace("TOKEN", each).encode()
            assert {"parse_name", "_target"} <= await _parsed([there.asked(message)])
        sent = [
            attack.message(token, MOST_IN_ONE)
            for attack in attacks()
            if attack.title.split()[0] in PARAMETERS and "Forwarded" not in attack.title  # from elsewhere
        ]
        query = first.replace("TOKEN", token)
        sent += [f"GET {path}?{query}&x=2001:db8::7 HTTP/1.1\r\n\r\n".encode() for path in PARAMETERS]
        answers: list[bytes] = []

        async def ask(message: bytes) -> None:
            answers.append(await there.asked(message))

        assert await _parsed(map(ask, sent)) == set()
    assert len(answers) == len(sent) > 100


async def _is_steep(there: Victim, token: str, attack: Attack, most: int, tries: int) -> bool:
    half = await there.cost(attack.message(token, most // 2), tries)
    whole = await there.cost(attack.message(token, most), tries)
    return whole > 2 * half + _SLACK


async def _parsed(work: Iterable[Awaitable[object]]) -> set[str]:
    """Return the names of the parsers that ran while this was done."""
    called: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        folder, _, file = code.co_filename.rpartition("/")
        if event == "call" and folder.endswith("ddnsd/model") and file in _PARSERS:
            called.add(code.co_name)

    sys.setprofile(note)
    try:
        await asyncio.gather(*work)
    finally:
        sys.setprofile(None)
    return called.difference(_NO_PARSERS)
