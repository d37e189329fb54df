"""`ddnsd export` and `ddnsd import`, against a real admin API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.service.archive import header_in
from tests.cli.test_cli import INSTALLATION, CommandLine
from tests.service.test_archive import GOLDEN
from tests.web.admin_server import admin_server


@pytest.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[CommandLine]:
    async with admin_server(tmp_path / "data") as server:
        yield CommandLine(server, tmp_path)


async def test_file_is_replaced_by_a_whole_export_only(ddnsd: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "backup.yaml"
    await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)
    assert await ddnsd.ok("export", "-o", str(file)) == ""
    whole = file.read_bytes()
    assert header_in(whole).counts.hosts == 1
    failed = await ddnsd("export", "-o", str(file), DDNSD_SERVER="http://127.0.0.1:1")
    assert (failed.code, "cannot reach the admin API" in failed.err) == (1, True)
    assert file.read_bytes() == whole
    nowhere = await ddnsd("export", "-o", str(tmp_path / "none" / "backup.yaml"))
    assert (nowhere.code, "cannot write" in nowhere.err, "No such file" in nowhere.err) == (1, True, True)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "admin-token", "backup.yaml"}


async def test_records_that_have_still_to_leave_are_told(ddnsd: CommandLine) -> None:
    await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)
    await ddnsd.server.node.commit_address("blog.example.com", "192.0.2.1")
    await ddnsd.ok("delete", "host", "blog.example.com")
    run = await ddnsd("export")
    assert (run.code, "Warning: 1 withdrawn record has still to leave" in run.err) == (0, True)


async def test_import_says_what_it_did(ddnsd: CommandLine) -> None:
    said = "Imported 1 zone, 1 account, 2 hosts, 1 token, 3 addresses.\n"
    assert await ddnsd.ok("import", "-", stdin=GOLDEN.decode()) == said
    await ddnsd.server.node.commit_address("blog.example.com", "192.0.2.99")
    assert await ddnsd.ok("import", "-", stdin=GOLDEN.decode()) == (
        "Imported 0 zones, 0 accounts, 0 hosts, 0 tokens, 0 addresses.\n"
        "Unchanged: 1 zone, 1 account, 2 hosts, 1 token.\n"
        "Kept, as clients have changed it since the export: 1 address.\n"
    )


async def test_addresses_that_no_client_may_send_now_are_imported_with_a_warning(ddnsd: CommandLine) -> None:
    older = GOLDEN.replace(b"192.0.2.7", b"0.1.2.3").replace(b"2001:db8::8", b"fd00::8")
    assert older.count(b"0.1.2.3") == older.count(b"fd00::8") == 1
    run = await ddnsd("import", "-", stdin=older.decode())
    assert (run.code, "Imported 1 zone" in run.out) == (0, True)
    assert run.err.splitlines() == [
        "Warning: imported, though no host can have it and no client may send it: 1 address.",
        "Warning: imported what the Internet cannot reach, which no client may send where addresses.private "
        "is refuse: 1 address.",
    ]


async def test_problem_names_file_document_field_and_remedy(ddnsd: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(GOLDEN.replace(b"192.0.2.4", b"x").replace(b"...\n", b""))
    run = await ddnsd("import", str(file))
    assert (run.code, run.out) == (1, "")
    assert run.err.splitlines() == [
        "Error: nothing was imported:",
        f"{file}, document 4 (Host blog.example.com): status.A.previous: "
        "'x': not an address of family A; none is \"\"",
        f"{file}, document 6: the export was cut off after this: its last line is `...`; "
        "if it was edited, add that line",
    ]


async def test_nothing_that_exists_is_replaced(ddnsd: CommandLine) -> None:
    await ddnsd.ok("apply", "-f", "-", stdin=INSTALLATION)
    run = await ddnsd("import", "-", stdin=GOLDEN.decode())
    assert run.code == 1
    first, *rest = run.err.splitlines()
    assert first.startswith(
        "Error: nothing was imported: the installation is not empty: "
        "it has 1 account that the export has not, and 2 that differ from the export's: import into an empty"
    )
    assert rest == [
        f"standard input, document {place}: it is there already, and is not the same"
        for place in ("2 (Zone example.com)", "4 (Host blog.example.com)")
    ]


async def test_export_is_not_applied_and_documents_are_not_imported(ddnsd: CommandLine) -> None:
    run = await ddnsd("import", "-", stdin=INSTALLATION)
    assert "document 1 (Zone example.com): kind: this is no export" in run.err
    run = await ddnsd("apply", "-f", "-", stdin=GOLDEN.decode())
    assert "kind: 'Export': not a kind" in run.err
