import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from ddnsd.app import Role
from ddnsd.model.addresses import Family
from ddnsd.model.records import HistoryEntry, LastSeen, RecordKey, Work
from ddnsd.model.request import Api
from ddnsd.model.resources import Kind, digest
from ddnsd.service.limits import RefusedAttempt
from ddnsd.service.manifests import read_manifest
from ddnsd.service.registry import SourceTakenError
from ddnsd.service.registry.sourced import SourcedDelete
from ddnsd.store import keys, tables
from ddnsd.store.interface import ConditionalWrite, Done
from ddnsd.web.health import Readiness, make_health_application
from tests.service.kubernetes import EVERYTHING, HELD, controller
from tests.service.registry_node import account, host
from tests.waiting import until
from tests.web.admin_server import ADMIN_TOKEN, AdminServer, admin_server

ROOT = Path(__file__).parents[2]
INSTALLATION = """\
apiVersion: ddnsd.dev/v1alpha1
kind: Zone
metadata: {name: example.com}
---
apiVersion: ddnsd.dev/v1alpha1
kind: Account
metadata: {name: "007"}
spec: {status: suspended, suspendedUntil: 2030-01-01T00:00:00Z}
---
apiVersion: ddnsd.dev/v1alpha1
kind: Host
metadata: {name: Blog.Example.com.}
spec: {account: "007", families: [AAAA, A]}
"""


@dataclass
class Run:
    """A finished command."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs the real command line against a real admin API."""

    def __init__(self, server: AdminServer, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.token_file = folder / "admin-token"
        self.token_file.write_text(ADMIN_TOKEN + "\n")

    async def __call__(self, *arguments: str, stdin: str = "", cwd: Path = ROOT, **environment: str) -> Run:
        variables = {
            "DDNSD_SERVER": self.server.url,
            "DDNSD_ADMIN_TOKEN_FILE": str(self.token_file),
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-W", "error", "-m", "ddnsd", *arguments]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=cwd, env=variables | environment
        )
        out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        return Run(process.returncode, out.decode(), err.decode())

    async def ok(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that succeeds; return what it prints."""
        run = await self(*arguments, stdin=stdin)
        assert run.code == 0, run.err
        return run.out


@pytest.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[CommandLine]:
    async with admin_server(tmp_path / "data") as server:
        yield CommandLine(server, tmp_path)


@pytest.fixture
async def filled(ddnsd: CommandLine) -> Any:
    await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)
    return ddnsd


async def test_apply_says_what_came_of_each_document(ddnsd: CommandLine) -> None:
    lines = [f"{what} created" for what in ("zone/example.com", "account/007", "host/blog.example.com")]
    assert (await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)).splitlines() == lines
    again = await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)
    assert again.count("unchanged") == 3


@pytest.mark.parametrize("output", ["yaml", "json"])
async def test_what_get_prints_applied_changes_nothing(filled: Any, output: str) -> None:
    await filled.ok("token", "create", "router", "--account", "007", "--host", "blog.example.com")
    await filled.server.node.commit_address("blog.example.com", "192.0.2.7")
    before = await filled.server.node.store.snapshot()
    for kind in Kind:
        printed = await filled.ok("get", kind.plural, "-o", output)
        assert printed.count("192.0.2.7") == (kind is Kind.HOST)
        assert "unchanged" in await filled.ok("apply", "-f", "-", stdin=printed)
        name = read_manifest(printed)[0]["metadata"]["name"]
        assert read_manifest(await filled.ok("get", kind.value, name, "-o", output)) == read_manifest(printed)
    assert await filled.server.node.store.snapshot() == before


async def test_apply_warns_of_a_name_that_is_not_for_everybody(filled: Any) -> None:
    text = json.dumps(host("wpad.example.com", owner="007"))
    run = await filled("apply", "-f", "-", stdin=text)
    assert (run.code, run.out) == (0, "host/wpad.example.com created\n")
    assert run.err.startswith("warning: host/wpad.example.com: wpad is a reserved label")


async def test_a_table_can_be_grepped(filled: Any) -> None:
    await filled.server.node.commit_address("blog.example.com", "192.0.2.7")
    assert (await filled.ok("get", "hosts")).splitlines() == [
        "NAME               ACCOUNT   TTL    ENABLED   A           AAAA   STATE",
        "blog.example.com   007       zone   true      192.0.2.7   -      pending",
    ]
    assert "007    suspended   2030-01-01T00:00:00Z" in await filled.ok("get", "ACCOUNT", "007")


async def test_a_table_warns_of_hosts_that_expire(filled: Any) -> None:
    shown = json.loads(await filled.ok("get", "host", "blog.example.com", "-o", "json"))
    shown["spec"]["expiresAfter"] = 3600
    await filled.ok("apply", "-f", "-", stdin=json.dumps(shown))
    assert await states_by_age(filled, 1, 50, 70) == ["-", "-", "expired"]  # there is nothing to lose yet
    await filled.server.node.commit_address("blog.example.com", "192.0.2.7")
    assert await states_by_age(filled, 1, 50, 70) == ["pending", "pending,expiring", "pending,expired"]


async def states_by_age(ddnsd: CommandLine, *minutes: int) -> list[str]:
    """Return what the table says of a host that was last seen so many minutes ago."""
    states = []
    for age in minutes:
        at = datetime.now(UTC) - timedelta(minutes=age)
        puts = {keys.seen("blog.example.com"): tables.encode(LastSeen(at))}
        record = RecordKey("blog.example.com", Family.A)
        if committed := await ddnsd.server.node.address("blog.example.com"):
            puts[keys.address(record)] = tables.encode(msgspec.structs.replace(committed, changed=at))
        update = ConditionalWrite({}, puts)
        assert isinstance(await ddnsd.server.node.commits.commit(update), Done)
        states.append((await ddnsd.ok("get", "hosts")).split()[-1])
    return states


async def test_a_long_listing_is_whole(filled: Any) -> None:
    hosts = "---".join(
        f"\napiVersion: ddnsd.dev/v1alpha1\nkind: Host\nmetadata: {{name: h{number}.example.com}}\n"
        "spec: {account: '007'}\n"
        for number in range(600)
    )
    run = await filled("apply", "-f", "-", stdin=hosts)
    assert "Applied in several steps" in run.err
    assert len((await filled.ok("get", "hosts")).splitlines()) == 1 + 601


async def test_an_empty_listing_prints_nothing_to_parse(ddnsd: CommandLine) -> None:
    run = await ddnsd("get", "zones")
    assert (run.code, run.out, run.err) == (0, "", "There are no zones.\n")


async def test_a_problem_names_file_document_field_value_and_remedy(
    ddnsd: CommandLine, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(INSTALLATION)
    bad.write_text(INSTALLATION.replace("[AAAA, A]", "[AAAA, B]"))
    run = await ddnsd("apply", "-f", str(good), "-f", str(bad))
    assert (run.code, run.out) == (1, "")
    line = f"{bad}, document 3 (Host Blog.Example.com.): spec.families[1]: 'B': write a list of A and AAAA"
    assert line in run.err
    double = await ddnsd("apply", "-f", str(good), "-f", str(good))
    first = f"{good}, document 1"
    assert f"{first} (Zone example.com): metadata.name: the same as {first}: keep one" in double.err
    bad.write_text("a: 1\na: 2\n")
    assert (
        f"{bad}: a: written twice, in lines 1 and 2: keep one" in (await ddnsd("apply", "-f", str(bad))).err
    )


async def test_delete_refuses_what_has_hosts_and_cascades(filled: Any) -> None:
    run = await filled("delete", "zone", "example.com")
    assert (run.code, "still has 1 host" in run.err, "--cascade" in run.err) == (1, True, True)
    assert await filled.ok("delete", "zones", "example.com", "--cascade") == (
        "zone/example.com deleted, with 1 host\n"
    )
    assert (await filled("delete", "zone", "example.com")).code == 1


async def test_a_new_secret_stands_alone_on_standard_output(filled: Any) -> None:
    run = await filled("token", "create", "router", "--account", "007", "--expires", "2030-01-01T00:00:00Z")
    secret = run.out.strip()
    assert (run.code, len(secret), run.err) == (0, 43, "token/router created\n")
    shown = await filled.ok("get", "tokens", "-o", "yaml")
    assert digest(secret) in shown
    for output in ("yaml", "json", "table"):
        assert secret not in await filled.ok("get", "tokens", "-o", output)
    again = await filled("token", "create", "router", "--account", "007")
    assert (again.code, again.out, "there is a token router" in again.err) == (1, "", True)


async def test_a_token_has_scopes(filled: Any) -> None:
    create = ("token", "create", "--account", "007")
    await filled.ok(*create, "both", "--scope", "txt", "--scope", "address")
    await filled.ok(*create, "any")
    run = await filled(*create, "none", "--scope", "adress")
    assert (run.code, "'adress' is not one of 'address', 'txt'" in run.err) == (2, True)
    table = {line.split()[0]: line.split()[3] for line in (await filled.ok("get", "tokens")).splitlines()}
    assert table == {"NAME": "SCOPES", "any": "all", "both": "address,txt"}


async def test_an_acme_dns_registration_stands_alone_on_standard_output(filled: Any) -> None:
    mail = INSTALLATION.split("---")[2].replace("Blog.", "mail.")
    await filled.ok("apply", "-f", "-", stdin=mail)
    hosts = ("--acme-dns", "Blog.example.com.", "--acme-dns", "mail.example.com")
    run = await filled("token", "create", "acme", "--account", "007", *hosts)
    assert (run.code, run.err) == (0, "token/acme created\n")
    registrations = json.loads(run.out)
    assert list(registrations) == ["blog.example.com", "mail.example.com"]
    secret = registrations["blog.example.com"]["password"]
    assert registrations["mail.example.com"] == {
        "username": "acme",
        "password": secret,
        "fulldomain": "_acme-challenge.mail.example.com",
        "subdomain": "mail.example.com",
        "allowfrom": [],
    }
    spec = json.loads(await filled.ok("get", "token", "acme", "-o", "json"))["spec"]
    assert (spec["sha256"], spec["scopes"]) == (digest(secret), ["txt"])
    assert spec["hosts"] == ["blog.example.com", "mail.example.com"]


@pytest.mark.parametrize("option", ["--host", "--acme-dns"])
async def test_a_token_for_hosts_that_it_cannot_change_is_made_with_a_warning(
    filled: Any, option: str
) -> None:
    await filled.ok("apply", "-f", "-", stdin=INSTALLATION.replace('"007"', '"008"').split("---")[1])
    hosts = (option, "blog.example.com", option, "new.example.com")
    run = await filled("token", "create", "t", "--account", "008", *hosts)
    assert (run.code, bool(run.out)) == (0, True)
    created, *warnings = run.err.splitlines()
    assert created == "token/t created"
    assert warnings == [
        "Warning: the token cannot change blog.example.com, which is a host of the account 007, "
        "not of 008: make a token of 007, or give the host to 008",
        "Warning: the token can change nothing yet: there is no host new.example.com; "
        "create it for the account 008",
    ]


@pytest.mark.parametrize("more", [["--host", "a.example.com"], ["--scope", "txt"], ["--secret-file", "-"]])
async def test_an_acme_dns_registration_is_made_alone(filled: Any, more: list[str]) -> None:
    create = ("token", "create", "acme", "--account", "007", "--acme-dns", "blog.example.com")
    run = await filled(*create, *more, stdin="sixteen-letters!")
    assert (run.code, run.out, "use it without --host" in run.err) == (2, "", True)


async def test_a_secret_is_imported_from_a_file(filled: Any, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("an-old-secret-of-another-service\n")
    create = ("token", "create", "--account", "007", "--secret-file")
    assert await filled.ok(*create, str(file), "one") == ""
    assert digest("an-old-secret-of-another-service") in await filled.ok("get", "token", "one", "-o", "json")
    double = await filled(*create, str(file), "two")
    assert (double.code, "an-old" in double.err) == (1, False)
    assert await filled.ok(*create, "-", "three", stdin="sixteen-letters!") == ""


@pytest.mark.parametrize("secret", ["fifteen-letters", "two lines of\nsecret text", "\0" * 20])
async def test_a_secret_that_is_none_is_refused_unseen(filled: Any, secret: str) -> None:
    run = await filled("token", "create", "t", "--account", "007", "--secret-file", "-", stdin=secret)
    assert (run.code, run.out) == (2, "")
    assert secret[:8] not in run.err


async def test_no_argument_takes_a_secret(filled: Any) -> None:
    help_text = await filled.ok("token", "create", "--help")
    assert "--secret " not in help_text
    assert "--token" not in help_text


def change(day: int, **fields: str) -> HistoryEntry:
    at = datetime(2026, 1, day, 8, 15, 30, 5, UTC)
    whole = {"type": "A", "old": "", "new": f"192.0.2.{day}", "token": "router", "source": "198.51.100.1"}
    return HistoryEntry(at, **({"api": Api.UPDATE} | whole | fields))


async def test_the_history_is_a_table_that_can_be_grepped(filled: Any) -> None:
    gone = change(2, old="192.0.2.1", new="", api=Api.EXPIRY, token="", source="")
    await filled.server.node.note_changes("blog.example.com", change(1), gone)
    for who in ([], ["007"]):
        lines = [line.split() for line in (await filled.ok("history", *who)).splitlines()]
        name, router = "blog.example.com", "198.51.100.1"
        assert lines == [
            ["TIME", "HOST", "TYPE", "OLD", "NEW", "API", "TOKEN", "SOURCE"],
            ["2026-01-02T08:15:30Z", name, "A", "192.0.2.1", "-", "expiry", "-", "-"],
            ["2026-01-01T08:15:30Z", name, "A", "-", "192.0.2.1", "update", "router", router],
        ]


async def test_the_history_of_a_host_has_the_changes_of_its_document(filled: Any) -> None:
    await filled.server.node.note_changes("blog.example.com", change(1))
    made, first = [line.split() for line in (await filled.ok("history", "blog.example.com")).splitlines()][1:]
    assert made[1:8] == ["blog.example.com", "Host", "-", "-", "apply", "-", "127.0.0.1"]
    assert made[8:] == ["created", "(by", "admin)"]
    assert first[1:] == ["blog.example.com", "A", "-", "192.0.2.1", "update", "router", "198.51.100.1", "-"]


async def test_the_audit_is_a_table_and_for_programs(filled: Any) -> None:
    await filled.server.node.commit_address("blog.example.com", "192.0.2.1", Family.AAAA)
    run = await filled("apply", "-f", "-", stdin=INSTALLATION.replace("families: [AAAA, A]", "families: [A]"))
    assert "blog.example.com: its address is withdrawn" in run.err
    heads, *lines = (await filled.ok("audit")).splitlines()
    assert heads.split() == ["TIME", "BY", "FROM", "WAY", "COUNT", "CHANGES", "WITHDRAWN"]
    assert lines[0].split()[1:6] == ["admin", "127.0.0.1", "apply", "+0", "~1"]
    assert "Host blog.example.com changed (families: A, AAAA → A)" in lines[0]
    assert lines[0].endswith("blog.example.com")
    newest, *_ = json.loads(await filled.ok("audit", "-o", "json"))
    assert newest["withdrawn"] == ["blog.example.com"]


async def test_the_history_for_programs(filled: Any) -> None:
    await filled.server.node.note_changes("blog.example.com", change(1), change(2))
    (newest,) = json.loads(await filled.ok("history", "-o", "json", "--limit", "1"))
    assert (newest["at"], newest["new"]) == ("2026-01-02T08:15:30.000005Z", "192.0.2.2")
    assert read_manifest(await filled.ok("history", "-o", "yaml"))[0] == newest


async def test_a_history_longer_than_a_page_is_whole(filled: Any) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    instants = [began + timedelta(seconds=number) for number in range(1200)]
    changes = [msgspec.structs.replace(change(1), at=at) for at in instants]
    await filled.server.node.note_changes("blog.example.com", *changes)
    listed = json.loads(await filled.ok("history", "-o", "json", "--limit", "1100"))
    assert [datetime.fromisoformat(item["at"]) for item in listed] == instants[:99:-1]


async def test_the_history_of_nobody_is_an_error_and_an_empty_one_is_not(filled: Any) -> None:
    run = await filled("history", "nobody")
    assert (run.code, run.out, "there is no Host or Account 'nobody'" in run.err) == (1, "", True)
    run = await filled("history", "007")
    assert (run.code, run.out, run.err) == (0, "", "There are no changes.\n")
    assert (await filled("history", "--limit", "0")).code == 2


async def test_a_secret_is_as_long_as_a_router_takes(filled: Any) -> None:
    made = await filled.ok("token", "create", "short", "--account", "007", "--length", "31")
    assert len(made) == len("x" * 31 + "\n")
    assert len(await filled.ok("token", "create", "usual", "--account", "007")) == 44
    run = await filled("token", "create", "weak", "--account", "007", "--length", "21")
    assert (run.code, "22<=x<=43" in run.err) == (2, True)


async def test_refused_attempts_are_shown(filled: Any) -> None:
    run = await filled("history", "--refused")
    assert (run.code, run.out, run.err) == (0, "", "No attempt was refused lately.\n")
    at = datetime(2026, 1, 1, 8, 15, 30, 5, UTC)
    filled.server.refused.note(RefusedAttempt(at, Api.DYNDNS2, "", "unknown_token", "198.51.100.1", ""))
    lines = [line.split() for line in (await filled.ok("history", "--refused")).splitlines()]
    assert lines == [
        ["TIME", "API", "NAME", "RESULT", "LEFT", "OUT", "COUNT", "TOKEN", "SOURCE"],
        ["2026-01-01T08:15:30Z", "dyndns2", "-", "unknown_token", "-", "1", "-", "198.51.100.1"],
    ]


async def test_status_is_shown(ddnsd: CommandLine) -> None:
    assert read_manifest(await ddnsd.ok("status")) == [{"leader": {"name": "one"}, "zones": []}]
    assert json.loads(await ddnsd.ok("status", "-o", "json")) == {"leader": {"name": "one"}, "zones": []}


async def test_zone_work_without_a_leader_says_so(filled: Any) -> None:
    run = await filled("zone", "takeover", "example.com", "--timeout", "1")
    assert (run.code, "no leader has done it within 1 s" in run.err) == (1, True)


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_of_dots_is_a_name(filled: CommandLine, name: str) -> None:
    run = await filled("delete", "zone", name)
    assert (run.code, run.err) == (1, f"Error: there is no Zone '{name}'\n")
    assert (await filled("get", "zones", name)).code == 1


async def test_only_the_servers_url_and_token_file_say_whom_to_ask_and_how(filled: CommandLine) -> None:
    netrc = filled.folder / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password netrc-password\n")
    environment: dict[str, Any] = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    run = await filled("get", "zones", NETRC=str(netrc), **environment)
    assert (run.code, run.err) == (0, "")
    server = filled.server.url.replace("http://", "http://user:password@")
    assert (await filled("get", "zones", "--server", server)).code == 0
    assert (await filled("get", "zones", "--server", f"{filled.server.url}/")).code == 0


async def test_an_import_that_cannot_be_read_names_the_file(filled: CommandLine) -> None:
    run = await filled("import", "/proc/self/mem")  # it opens, and its first byte cannot be read
    assert (run.code, run.err) == (1, "Error: cannot read /proc/self/mem: Input/output error\n")


@pytest.mark.parametrize("server", ["nonsense", "ftp://host", "http://", "http://host:99999", "http://[::1"])
async def test_what_is_not_a_url_is_wrong_usage(ddnsd: CommandLine, server: str) -> None:
    run = await ddnsd("get", "zones", "--server", server)
    assert (run.code, f"{server!r} is not a URL such as http://" in run.err) == (2, True)


async def test_a_server_that_is_not_there(ddnsd: CommandLine) -> None:
    socket, port = bind_unused_port()
    socket.close()
    run = await ddnsd("get", "zones", "--server", f"http://127.0.0.1:{port}")
    assert (run.code, "is ddnsd running there? Start it with" in run.err) == (1, True)
    assert (await ddnsd("get", "zones", "--server", "nonsense")).code == 2


async def test_https_to_the_plain_listener(ddnsd: CommandLine) -> None:
    server = ddnsd.server.url.replace("http://", "https://")
    run = await ddnsd("get", "zones", "--server", server)
    assert (run.code, run.err) == (1, f"Error: no TLS with {server}: it speaks plain HTTP: write http://\n")


async def always_ready() -> Readiness:
    return Readiness(True, ())


async def no_metrics() -> bytes:
    return b""


async def test_a_listener_that_is_not_the_admin_api(ddnsd: CommandLine) -> None:
    health = HTTPServer(make_health_application(always_ready, no_metrics))
    socket, port = bind_unused_port()
    health.add_socket(socket)
    server = f"http://127.0.0.1:{port}"
    run = await ddnsd("get", "zones", "--server", server)
    health.stop()
    await health.close_all_connections()
    assert run.err == f"Error: {server} is not the admin API: use the address of listen.admin\n"


async def test_a_token_file_that_is_not_the_right_one(ddnsd: CommandLine, tmp_path: Path) -> None:
    missing = await ddnsd("get", "zones", "--admin-token-file", str(tmp_path / "none"))
    assert (missing.code, "--admin-token-file" in missing.err) == (1, True)
    ddnsd.token_file.write_text("another-admin-token")
    wrong = await ddnsd("get", "zones")
    assert (wrong.code, "does not accept the admin token in" in wrong.err) == (1, True)
    assert "another-admin-token" not in wrong.err


async def test_wrong_usage_is_2(ddnsd: CommandLine) -> None:
    for arguments in (["get"], ["get", "nothing"], ["nothing"], ["apply"], ["zone", "check"]):
        run = await ddnsd(*arguments)
        assert (run.code, run.out) == (2, "")


@pytest.mark.parametrize(("delay", "waited"), [("0", "0"), ("0.4", "0.4"), ("0.3s", "0.3"), ("0.01m", "0.6")])
async def test_drain_returns_after_the_delay(ddnsd: CommandLine, delay: str, waited: str) -> None:
    assert f"Not ready for {waited} s now" in await ddnsd.ok("drain", "--delay", delay)


@pytest.mark.parametrize("delay", ["", "s", "-1", "1d", "10 s", "1e3", "nan", "2h", "3601", "٣"])
async def test_what_is_no_delay(ddnsd: CommandLine, delay: str) -> None:
    run = await ddnsd("drain", "--delay", delay)
    assert (run.code, "is not a duration such as" in run.err or "more than an hour" in run.err) == (2, True)


async def test_check_tells_all_mistakes_of_a_configuration(ddnsd: CommandLine, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("publish: {timeout: soon}\nlisten: {pubic: 1}\n")
    run = await ddnsd("check", str(config))
    assert (run.code, "publish.timeout" in run.err, "listen.pubic" in run.err) == (1, True, True)
    config.write_text("")
    assert await ddnsd.ok("check", str(config)) == f"{config} is in order.\n"
    token_file = tmp_path / "open"
    token_file.write_text("a-secret")
    token_file.chmod(0o644)
    config.write_text("admin: {token_file: open}\n")
    run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
    assert (run.code, run.err) == (
        0,
        f"Warning: {token_file} holds a secret and is open to others: chmod 600 {token_file}\n",
    )


async def test_check_tells_what_others_could_do(ddnsd: CommandLine, tmp_path: Path) -> None:
    config, data = tmp_path / "config.yaml", tmp_path / "open data"
    data.mkdir()
    data.chmod(0o777)
    config.write_text("data: open data\nlisten: {admin: ':8081'}\n")
    run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
    assert run.code == 1
    assert f"Error: others may write {data} (mode 0777): chmod o-w {data}; or set data_check: warn" in run.err
    assert "Warning: listen.admin: the admin API listens on every address" in run.err
    config.write_text("data: open data\ndata_check: warn\n")
    run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
    assert (run.code, run.err) == (0, f"Warning: others may write {data} (mode 0777): chmod o-w {data}\n")
    data.chmod(0o700)
    (data / "admin-token").write_text("a-secret")
    (data / "admin-token").chmod(0o644)
    run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
    assert f"{data / 'admin-token'} holds a secret and is open to others" in run.err
    (data / "admin-token").chmod(0o660)  # as kubelet leaves it
    named = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE=str(data / "admin-token"))
    assert named.err == "", "the default place may be named, as the chart does"
    config.write_text("data: open data\nadmin: {tokens: [{name: ci, file: open data/ci, scopes: [read]}]}\n")
    for mode, warned in ((0o664, True), (0o660, False)):
        (data / "ci").write_text("a-secret-of-the-ci")
        (data / "ci").chmod(mode)
        run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
        assert (f"{data / 'ci'} holds a secret and is open to others" in run.err) is warned
    assert (await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")).err == ""


@pytest.mark.parametrize(
    ("endpoint", "warned"),
    [("http://10.0.0.1:2379", True), ("http://127.0.0.1:2379", False), ("http://localhost:2379", False)],
)
async def test_check_tells_of_an_etcd_in_plain_text(
    ddnsd: CommandLine, tmp_path: Path, endpoint: str, warned: bool
) -> None:
    config = tmp_path / "config.yaml"
    nameserver = "{kind: rfc2136, address: 192.0.2.53, key: {name: k, secret_file: key}}"
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text("AAAAAAAAAAAAAAAAAAAAAA==")
    store = f"{{kind: etcd, etcd: {{endpoints: ['{endpoint}']}}}}"
    config.write_text(f"store: {store}\nnameservers: {{default: {nameserver}}}\n")
    run = await ddnsd("check", str(config), DDNSD_ADMIN_TOKEN_FILE="")
    assert (run.code, "crosses the network in plain text" in run.err) == (0, warned)


async def test_the_admin_token_in_plain_text_is_warned_of(ddnsd: CommandLine) -> None:
    warning = "Warning: the admin token crosses the network in plain text"
    assert warning in (await ddnsd("get", "zones", "--server", "http://[2001:db8::1]:1")).err
    assert warning not in (await ddnsd("get", "zones", "--server", "http://127.0.0.1:1")).err
    assert warning not in (await ddnsd("get", "zones")).err


async def test_the_summary_of_each_command_is_whole(ddnsd: CommandLine) -> None:
    for arguments in ([], ["token"], ["zone"], ["source"]):
        assert "..." not in (await ddnsd.ok(*arguments, "--help")).replace("[ARGS]...", "")


async def test_serve_without_a_file_takes_the_defaults(ddnsd: CommandLine, tmp_path: Path) -> None:
    run = await ddnsd("serve", cwd=tmp_path, DDNSD_PUBLISH_TIMEOUT="soon")
    assert run.err.startswith("Error: 1 error in the environment:")
    (tmp_path / "config.yaml").write_text("")
    run = await ddnsd("serve", cwd=tmp_path, DDNSD_PUBLISH_TIMEOUT="soon")
    assert run.err.startswith("Error: 1 error in config.yaml:")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ddnsd.__main__", {"httpx2", "ddnsd.app", "ddnsd.model"}),  # `ddnsd --version`
        ("ddnsd.cli.serve", {"httpx2", "ddnsd.app"}),  # `ddnsd check`
        ("ddnsd.app", {"httpx2", "ddnsd.kube"}),  # a node without Kubernetes
    ],
)
async def test_nobody_waits_for_an_import_that_he_does_not_use(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE, cwd=ROOT)
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert not absent & set(out.decode().split())


async def test_serve_offers_each_role(ddnsd: CommandLine) -> None:
    assert f"--role [{'|'.join(Role)}]" in await ddnsd.ok("serve", "--help")


async def test_serve_names_what_it_reads(ddnsd: CommandLine, tmp_path: Path) -> None:
    assert "DDNSD_CONFIG" in await ddnsd.ok("serve", "--help")
    givens: tuple[dict[str, Any], ...] = ({"DDNSD_CONFIG": str(tmp_path / "none")}, {})
    for given in givens:
        run = await ddnsd("serve", *([] if given else ["--config", str(tmp_path / "none")]), **given)
        assert (run.code, "cannot be read: No such file" in run.err, "takes every default" in run.err) == (
            (1, True, True)
        )


@pytest.mark.parametrize("work", Work)
async def test_what_the_leader_found_is_printed(filled: Any, work: Work) -> None:
    node = filled.server.node
    options = {Work.CHECK: ["--exit-code"], Work.TAKEOVER: ["--adopt"]}
    asked = asyncio.create_task(filled("zone", work, "example.com", *options.get(work, [])))
    await until(lambda: bool(node.cache.state.requests))
    (entry,) = node.cache.state.requests.values()
    done = msgspec.structs.replace(entry.value, finished=datetime.now(UTC), findings=(f"{work}: one", "two"))
    await node.commits.commit(ConditionalWrite({}, {entry.key: tables.encode(done)}))
    run = await asked
    assert (run.code, run.out) == (int(work is Work.CHECK), f"{work}: one\ntwo\n")
    assert (entry.value.work, entry.value.adopt) == (work, work is Work.TAKEOVER)


async def test_what_kubernetes_manages_is_shown_with_its_source(ddnsd: CommandLine) -> None:
    await ddnsd.ok("apply", "-f", "-", stdin=json.dumps(account("bob")))
    assert "SOURCE" not in await ddnsd.ok("get", "accounts")
    async with controller(ddnsd.server.node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        await kube.change([SourcedDelete(Kind.ZONE, "example.com")])
    zones = (await ddnsd.ok("get", "zones")).splitlines()
    assert zones[0].endswith("SOURCE")
    assert zones[1].endswith("prod (held)")
    accounts = (await ddnsd.ok("get", "accounts")).splitlines()
    assert [line.split()[-1] for line in accounts] == ["SOURCE", "-", "prod/home"]
    managed = await ddnsd.ok("get", "hosts", "-o", "yaml")
    assert "source: prod\n  namespace: home" in managed
    run = await ddnsd("apply", "-f", "-", stdin=managed)
    assert (run.code, "Kubernetes manages it: change it there with kubectl" in run.err) == (1, True)


LEFT = "1 zone, 1 account, 1 host, 1 token"


async def test_sources_are_decided_about(ddnsd: CommandLine) -> None:
    run = await ddnsd("source", "list")
    assert (run.code, run.out, run.err) == (0, "", "There are no sources.\n")
    async with controller(ddnsd.server.node) as kube:
        await kube.bind()
        await kube.change(EVERYTHING)
        await kube.report((), HELD)
        titles, prod = (await ddnsd.ok("source", "list")).splitlines()
        assert titles.endswith("HELD DELETIONS   CLAIMED BY")
        assert re.split("  +", prod) == ["prod", "uid-1", "node", LEFT, "12", "-"]
        assert await ddnsd.ok("source", "prune", "prod") == (
            "source/prod: 12 deletions allowed\n  Host a.example.com\n  and 11 more\n"
        )
        assert "12 allowed" in await ddnsd.ok("source", "list")
    async with controller(ddnsd.server.node, uid="uid-2") as other:
        with pytest.raises(SourceTakenError):
            await other.bind()
    assert await ddnsd.ok("source", "takeover", "prod") == "source/prod is bound to uid-2\n"
    assert "left as they are: 1 zone, 1 account, 1 host, 1 token" in await ddnsd.ok(
        "source", "release", "prod"
    )
    assert json.loads(await ddnsd.ok("source", "list", "-o", "json"))[0]["uid"] == ""
    assert (await ddnsd("source", "release", "prod")).code == 1
