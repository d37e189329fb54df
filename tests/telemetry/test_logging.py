"""What reaches standard error, from structlog and from the standard library."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any, Literal

import httpx2
import pytest
import structlog
from tornado.log import access_log, gen_log

from ddnsd.telemetry.logging import configure

SECRET = "S3cr3t-value"


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, before, hook = logging.getLogger(), structlog.get_config(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    gen_log.setLevel(logging.NOTSET)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
    sys.excepthook = hook


def fail(token: str) -> None:
    raise ValueError(f"bad url /update?token={token}")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_an_event_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    structlog.get_logger("ddnsd.test").info("update.done", name="家.example.com", ip="192.0.2.1")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "update.done",
        "name": "家.example.com",
        "ip": "192.0.2.1",
        "level": "info",
        "logger": "ddnsd.test",
    }


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    structlog.get_logger("ddnsd.test").info("update.done")
    logging.getLogger("ddnsd.test").info("update.done")
    assert lines(capsys) == []


def test_tornados_access_log_goes_the_same_way_without_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    access_log.info("%d %s %.2fms", 200, f"GET /api/ddns/update?token={SECRET}&domain=a (::1)", 1.5)
    (line,) = lines(capsys)
    assert line["logger"] == "tornado.access"
    assert line["event"] == "200 GET /api/ddns/update?token=***&domain=a (::1) 1.50ms"


def test_what_tornado_quotes_of_malformed_requests_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "debug")
    gen_log.info("Malformed HTTP message from %s: %s", "::1", f"Invalid header value {SECRET!r}")
    gen_log.warning("SSL Error")
    assert [line["event"] for line in lines(capsys)] == ["SSL Error"]


def test_what_the_http_client_does_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "debug")
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as client:
        client.get("http://localhost/")
    logging.getLogger("httpcore2.connection").debug("connect_tcp.started")
    assert lines(capsys) == []


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_shows_neither_locals_nor_secrets(
    capsys: pytest.CaptureFixture[str], format: Literal["console", "json"]
) -> None:
    configure(format, "info")
    try:
        fail(SECRET)
    except ValueError:
        structlog.get_logger("ddnsd.test").exception(
            "request.failed", headers={"Authorization": f"Bearer {SECRET}"}
        )
        logging.getLogger("tornado.application").exception("Uncaught exception GET /?token=%s", SECRET)
    written = capsys.readouterr().err
    assert written.count("ValueError: bad url /update?token=***") == 2
    assert "in fail" in written
    assert SECRET not in written


def test_what_nobody_caught_is_logged_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    try:
        fail(SECRET)
    except ValueError:
        sys.excepthook(*sys.exc_info())
    (line,) = lines(capsys)
    assert line["event"] == "uncaught"
    assert line["level"] == "critical"
    assert SECRET not in line["exception"]


def test_a_logger_that_is_in_use_follows_another_level_and_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    log = structlog.get_logger("ddnsd.test")
    log.debug("first")
    log.info("second")
    configure("console", "debug")
    log.debug("third")
    configure("json", "warning")
    log.info("fourth")
    log.warning("fifth")
    first, second, third = capsys.readouterr().err.splitlines()
    assert '"event": "second"' in first
    assert "third" in second
    assert '"event": "fifth"' in third
