"""Nobody writes to a terminal, or forges a line of the log, by what they call themselves."""

import json
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.telemetry.logging import configure, printable, printable_json
from tests.telemetry.test_logging import restore  # noqa: F401 - a fixture

HOSTILE = {
    "escape": "a\x1b[2Jb",
    "C1 CSI": "a\x9b2Jb",
    "NEL": "a\x85b",
    "delete": "a\x7fb",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "bidirectional": "a\u202eb",
    "byte order mark": "a\ufeffb",
    "line feed": "a\n2026-11-30T00:00:00Z [info     ] forged",
    "carriage return": "a\rb",
    "half a surrogate": "a\udc9bb",
    "tag": "a\U000e0041b",
}


def raise_with(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("format", ["console", "json"])
def test_what_does_not_show_is_shown_as_an_escape(
    capsys: pytest.CaptureFixture[str], format: Literal["console", "json"], text: str
) -> None:
    configure(format, "info")
    log = structlog.get_logger("ddnsd.test")
    log.info(text, name=text, nested=[text, {text: text}], inner={"a": text})
    (line,) = capsys.readouterr().err.split("\n")[:-1]
    assert line.isprintable()
    if format == "json":
        event = json.loads(line)
        assert (event["event"], event["name"]) == (text, text), "nothing is lost"
    else:
        assert printable(text) in line


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_line_of_a_traceback_passes_for_an_event(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure("console", "info")
    try:
        raise_with(text)
    except ValueError:
        structlog.get_logger("ddnsd.test").exception("failed")
    first, *rest = capsys.readouterr().err.split("\n")[:-1]
    assert "failed" in first
    for line in rest:
        assert line.startswith("  ")
        assert line.isprintable()
    assert "ValueError: a" in "".join(rest)


@given(st.text())
def test_json_means_the_same_and_shows(text: str) -> None:
    escaped = printable_json(json.dumps(text, ensure_ascii=False))
    assert escaped.isprintable()
    assert json.loads(escaped) == text


@given(st.text())
def test_any_text_becomes_one_line(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


def test_what_shows_stays_as_it_is() -> None:
    assert printable("家.example.com ünïcode 🙂") == "家.example.com ünïcode 🙂"
