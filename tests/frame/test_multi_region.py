"""What docs/multi-region.md tells operators to paste works, and its numbers are those of the examples."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.chart import helm
from tests.rigs.client import Record
from tests.rigs.pdns import PowerDnsRig
from tests.rigs.process import find_program
from tests.waiting import until

TEXT = (Path(__file__).parents[2] / "docs" / "multi-region.md").read_text()
EXAMPLES = [path.stem for path in helm.EXAMPLES if path.stem.startswith("region-")]
KEYS = ("ddnsd", "transfer")


def blocks(first_word: str) -> list[str]:
    """Return the blocks that begin so."""
    return re.findall(rf"(?ms)^```\w*\n({re.escape(first_word)}.*?)^```", TEXT)


def test_bind_takes_its_blocks(tmp_path: Path) -> None:
    primary, secondary = blocks("zone ")
    for block in (primary, secondary):
        keys = [f'key "{name}" {{ algorithm hmac-sha256; secret "c2VjcmV0"; }};' for name in KEYS]
        path = tmp_path / "named.conf"
        path.write_text("\n".join((*keys, block)))
        done = subprocess.run(
            [find_program("named-checkconf", "bind9-utils"), str(path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout


def test_knot_takes_its_block(tmp_path: Path) -> None:
    (block,) = blocks("remote:")
    path = tmp_path / "knot.conf"
    path.write_text(f"key:\n  - id: transfer\n    algorithm: hmac-sha256\n    secret: c2VjcmV0\n{block}")
    done = subprocess.run(
        [find_program("knotc", "knot"), "--config", str(path), "conf-check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


async def test_powerdns_leaves_out_a_region_that_is_not_healthy() -> None:
    found = re.search(r"IN LUA (A \"ifurlup.*\")`", TEXT)
    assert found
    with ExitStack() as stack:
        port = stack.enter_context(region("127.0.0.2", 200, 0))
        for address, status in (("127.0.0.3", 503), ("127.0.0.4", 200)):
            stack.enter_context(region(address, status, port))
        content = found[1].replace("https://ddns.example.com", f"http://ddns.example.com:{port}")
        for address in ("192.0.2.10", "198.51.100.10", "203.0.113.10"):
            assert address in content
        for number, address in enumerate(re.findall(r"'([\d.]+)'", content), start=2):
            content = content.replace(address, f"127.0.0.{number}")
        async with PowerDnsRig(records=[Record("ddns.example.com", 30, "LUA", content)]) as server:

            async def leaves_it_out() -> bool:
                return await server.query("ddns.example.com", "A") == ("127.0.0.2", "127.0.0.4")

            await until(leaves_it_out, 20, "PowerDNS answers with the healthy regions")


@contextmanager
def region(address: str, status: int, port: int) -> Iterator[int]:
    """Answer every request with this status; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((address, port), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_settings_are_those_of_the_examples(name: str) -> None:
    config = helm.config(helm.render(helm.example(name)))
    told = dict(re.findall(r"(?m)^\| `(store\.\S+|publish\.\S+)` \| (\d+) s \|", TEXT))
    assert len(told) == 5
    for path, seconds in told.items():
        value: Any = config
        for key in path.split("."):
            value = value[key]
        assert value == int(seconds), path


def test_every_example_is_named() -> None:
    assert len(EXAMPLES) == 3
    for name in EXAMPLES:
        assert f"(../charts/ddnsd/examples/{name}.yaml)" in TEXT
