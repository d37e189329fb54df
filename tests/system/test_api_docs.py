"""docs/api.md, in both languages, and docs/dyndns2.md say what the program does: tables, examples."""

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.model.request import Refusal
from ddnsd.web import acmedns, replies, routes
from ddnsd.web.dyndns2 import FORGED, WORDS, reply_to
from tests.system.installation import SECRET, Installation, example

DOCS = Path(__file__).parents[2] / "docs"
TEXT, CHINESE, OTHERS = ((DOCS / name).read_text() for name in ("api.md", "api.zh.md", "dyndns2.md"))


def rows_of(text: str) -> list[tuple[int, str]]:
    """Return the statuses in a page's tables, and what is said with them."""
    found = re.findall(r"^\| (\d{3}) \| `(.+?)` \|", text, re.MULTILINE)
    return [(int(status), said) for status, said in found]


def examples(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a page and its answer: the comments after it, without their marks."""
    for command, answer in re.findall(r"^(curl .+)\n((?:#.*\n)+)", text, re.MULTILINE):
        yield command, "\n".join(line[2:] for line in answer.splitlines())


def test_the_table_of_failures_is_the_contracts() -> None:
    refusals = [row for row in rows_of(TEXT) if row in {refusal.value for refusal in Refusal}]
    assert sorted(refusals) == sorted(refusal.value for refusal in Refusal)


def test_no_other_answer_is_told() -> None:
    below = [
        (400, replies.BAD_REQUEST),
        (404, replies.NO_SUCH_PATH),
        (405, replies.METHOD_NOT_ALLOWED),
        (413, replies.TOO_LARGE),
        (429, replies.LIMITED),
        (500, replies.INTERNAL),
        (503, replies.NO_STORE),
        (503, replies.DRAINING),
    ]
    success = [(200, "DDNS 更新成功"), (200, "IP 地址未变化,无需更新")]
    told = rows_of(TEXT)
    assert told[:2] == success
    assert told[-len(below) :] == below
    assert len(told) == len(success) + len(Refusal) + len(below)


def test_both_languages_tell_the_same() -> None:
    assert rows_of(CHINESE) == rows_of(TEXT)
    assert list(examples(CHINESE)) == list(examples(TEXT))
    assert re.findall(r"^#+ ", CHINESE, re.MULTILINE) == re.findall(r"^#+ ", TEXT, re.MULTILINE)
    assert literals(CHINESE) == literals(TEXT)


def literals(text: str) -> set[str]:
    """Return what a page quotes, which no language translates: parameters, settings, answers."""
    return set(re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)))


UPDATE = b"POST /api/ddns/update HTTP/1.1\r\nHost: a\r\n"
EMPTY_400 = b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (b"GET /a b HTTP/1.1\r\n\r\n", EMPTY_400),
        (b"GET / HTTP/2.0\r\n\r\n", EMPTY_400),
        (UPDATE + b"no colon\r\n\r\n", EMPTY_400),
        (UPDATE + b"A: b\r\n folded\r\n\r\n", EMPTY_400),
        (UPDATE + b"Content-Length: x\r\n\r\n", EMPTY_400),
        (UPDATE + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", EMPTY_400),
        (UPDATE + b"Transfer-Encoding: gzip\r\n\r\n", EMPTY_400),
        (UPDATE + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", EMPTY_400),
        (UPDATE + b"A: " + b"a" * 20_000 + b"\r\n\r\n", b""),
    ],
)
async def test_what_is_no_http_gets_no_json(tmp_path: Path, message: bytes, answer: bytes) -> None:
    async with Installation(tmp_path) as ddnsd:
        host, port = ddnsd.addresses["public"].rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(message)
        received = await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
        writer.close()
    assert received.strip() == answer


@pytest.mark.parametrize("text", [TEXT, CHINESE, OTHERS], ids=["api", "api.zh", "dyndns2"])
async def test_the_examples(tmp_path: Path, text: str) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        assert list(examples(text))
        for command, answer in examples(text):
            here = command.replace("127.0.0.1:8080", ddnsd.addresses["public"])
            done = await asyncio.to_thread(
                subprocess.run,
                ["sh", "-c", here],
                env={"TOKEN": SECRET, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            assert done.stdout == answer, command


def test_the_words_of_dyndns2_and_their_statuses() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (\d{3}) \|", OTHERS, re.MULTILINE)
    told = {(word, str(reply_to([refusal]).status)) for refusal, word in WORDS.items()}
    told.add((FORGED.body.decode(), str(FORGED.status)))
    assert set(rows) == told | {("good", "200"), ("nochg", "200")}


def test_the_errors_of_acme_dns() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\S+)` \|", OTHERS, re.MULTILINE)
    below = {(400, acmedns.MALFORMED), (401, acmedns.FORBIDDEN), (429, acmedns.LIMITED)}
    assert {(int(status), error) for status, error in rows} == {*acmedns.ERRORS.values(), *below}


def test_what_a_proxys_address_is_answered_with() -> None:
    assert replies.failure(routes.UNKNOWN).decode() in OTHERS
