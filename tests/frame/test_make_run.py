"""`make run` as a person uses it: start, paste the two lines, stop, start again."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings that keep away from everything else on this machine."""
    ports = {name: str(free_port()) for name in ("HTTP_PORT", "DNS_PORT", "ADMIN_PORT", "HEALTH_PORT")}
    return {**os.environ, **ports, "DDNSD_DATA": str(tmp_path / "my data"), "DDNSD_LOG_FORMAT": "json"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(environ: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "script" / "quickstart.py"), str(ROOT)]
    return subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        start_new_session=True,
    )


@contextmanager
def running(environ: dict[str, str], stop: signal.Signals = signal.SIGTERM) -> Iterator[list[str]]:
    """Run it; yield the lines with commands, and expect a clean end."""
    process = start(environ)
    assert process.stdout
    lines = []
    for line in process.stdout:
        if line.startswith(("curl ", "dig ")):
            lines.append(line.strip())
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail(process.communicate()[1])
    try:
        yield lines
    finally:
        process.send_signal(stop)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log


def paste(line: str) -> str:
    return subprocess.run(
        ["sh", "-c", line], cwd="/", check=True, capture_output=True, text=True, timeout=20
    ).stdout


def test_the_printed_lines_work_and_still_work_after_a_restart(environ: dict[str, str]) -> None:
    with running(environ) as (curl, dig):
        assert '"updated":true' in paste(curl)
        assert paste(dig) == "192.0.2.7\n"
        token = Path(environ["DDNSD_DATA"], "example-token")
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert token.read_text().strip() not in curl
    with running(environ, signal.SIGINT) as lines:
        assert lines == [curl, dig]
        assert paste(dig) == "192.0.2.7\n"
        assert '"updated":false' in paste(curl)
        assert '"updated":true' in paste(curl.replace("192.0.2.7", "192.0.2.8"))
        assert paste(dig) == "192.0.2.8\n"


def test_a_taken_port_is_told_and_ends_it(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", int(environ["ADMIN_PORT"]))):
        process = start(environ)
        _, log = process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    assert environ["ADMIN_PORT"] in log
    assert "Traceback" not in log


def test_a_wrong_setting_is_told_and_nothing_starts(environ: dict[str, str]) -> None:
    process = start({**environ, "DDNSD_PUBLISH_TIMEOUT": "soon"})
    _, log = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "publish.timeout: 'soon' from DDNSD_PUBLISH_TIMEOUT" in log
    assert not Path(environ["DDNSD_DATA"]).exists()


def test_a_wrong_port_is_told_by_its_short_name(environ: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("nameservers: {default: {kind: rfc2136, address: 192.0.2.1}}")
    process = start({**environ, "DDNSD_CONFIG": str(config), "HTTP_PORT": "abc"})
    _, log = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "listen.public: ':abc' from HTTP_PORT=abc: write" in log
    assert f"nameservers.default.listen: from DNS_PORT={environ['DNS_PORT']}: unknown key" in log
    assert "(DNS_PORT is for the embedded nameserver only" in log
    assert "_LISTEN" not in log
