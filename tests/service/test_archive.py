"""Archives: what is written, what is read, what is refused."""

import gc
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.records import Entry, Installation, Resource
from ddnsd.model.resources import HostSpec, Kind, TokenSpec, ZoneSpec
from ddnsd.model.state import State
from ddnsd.service.archive import (
    MAX_DOCUMENT,
    ArchivedAddress,
    ArchiveReader,
    Counts,
    DocumentStream,
    Export,
    header_in,
    yaml_of,
)
from ddnsd.service.documents import Document, InvalidDocumentError, read_document, write_document
from ddnsd.service.manifests import read_manifest
from ddnsd.service.status import host_status
from tests.service.archives import body, exported, read
from tests.service.registry_node import Node, account, host, single_node, token, zone
from tests.tasks import running
from tests.waiting import paced, turn_loop, until

GOLDEN = (Path(__file__).parent / "golden" / "export.1.yaml").read_bytes()
IDN = "xn--fiq228c.example.com"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


async def test_archive_of_format_1_is_readable_for_ever() -> None:
    header, items = await read(GOLDEN)
    assert header.counts == Counts(1, 1, 2, 1)
    assert (header.installation, header.revision, header.addresses) == ("75a1b2c3d4e5f607", 42, 3)
    assert header.time == datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    zone, owner, blog, idn, token = items
    assert zone.document == Document(Kind.ZONE, "example.com", ZoneSpec("default", 300))
    assert (owner.document.name, owner.addresses) == ("alice", {})
    changed = datetime(2026, 7, 1, 8, 15, 30, 123456, UTC)
    assert (blog.place, blog.addresses) == (4, {Family.A: ArchivedAddress("192.0.2.7", "192.0.2.4", changed)})
    assert idn.document.name == IDN
    assert idn.addresses.keys() == {Family.A, Family.AAAA}
    assert token.document.spec == TokenSpec("alice", "0123456789abcdef" * 4, ("blog.example.com",))


async def test_the_archive_in_the_docs_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs/admin/reference.md").read_text()
    (shown,) = re.findall(r"^```\n(---\napiVersion.*?)^```$", text, re.MULTILINE | re.DOTALL)
    header, (blog,) = await read(shown.encode())
    assert (header.format, blog.document.name, set(blog.addresses)) == (1, "blog.example.com", {Family.A})


async def test_what_is_written_is_what_it_was_when_it_began(node: Node) -> None:
    await node.registry.apply([zone("example.com"), account("alice"), token("t", "a")])
    await node.registry.apply([host(f"h{number}.example.com") for number in range(300)])
    await node.commit_address("h7.example.com", "192.0.2.7")
    before = await exported(node)
    export = await node.registry.export()
    await node.commit_address("h8.example.com", "192.0.2.8")
    await node.registry.delete(Kind.ZONE, "example.com", cascade=True)
    assert body(b"".join([part async for part in export.parts()])) == body(before)
    after = header_in(await exported(node))
    assert (after.counts, after.addresses, after.removals) == (Counts(0, 1, 0, 1), 0, 2)
    assert after.revision == node.cache.revision > header_in(before).revision


async def test_challenges_and_the_past_stay_where_they_are(node: Node) -> None:
    spec: dict[str, Any] = {"wildcard": True, "ipv6Suffix": "::1", "ipv6Subnet": "1f", "expiresAfter": 3600}
    await node.registry.apply([zone("example.com"), account("alice"), host("a.example.com", **spec)])
    await node.registry.apply([token("t", "a", scopes=["txt"])])
    await node.commit_address("a.example.com", "192.0.2.7")
    await node.commit_address("a.example.com", "first second", Challenge.TXT)
    archive = await exported(node)
    header, (*_, blog, acme) = await read(archive)
    assert (header.addresses, header.removals) == (1, 0)
    assert blog.addresses.keys() == {Family.A}
    assert blog.document == read_document(host("a.example.com", **spec))
    assert acme.document == read_document(token("t", "a", scopes=["txt"]))
    assert b"second" not in archive


async def test_a_status_as_get_shows_it_is_read(node: Node) -> None:
    await node.registry.apply([zone("example.com"), account("alice"), host("a.example.com", expiresAfter=60)])
    await node.commit_address("a.example.com", "192.0.2.7")
    await node.commit_address("a.example.com", "first second", Challenge.TXT)
    shown = write_document(read_document(host("a.example.com", expiresAfter=60)))
    shown["status"] = msgspec.to_builtins(host_status(node.cache.state, "a.example.com", datetime.now(UTC)))
    assert shown["status"].keys() == {"A", "TXT", "lastSeen", "expires", "state"}
    header = (await exported(node)).split(b"---\n")[1]
    _, (item,) = await read(b"---\n" + header + yaml_of(shown) + b"...\n")
    assert item.addresses.keys() == {Family.A}


async def test_kinds_and_names_are_in_order_and_secrets_nowhere(node: Node) -> None:
    names = ["b.example.com", IDN, "a.example.com"]
    await node.registry.apply([*map(host, names), zone("example.com"), account("alice"), token("t", "a")])
    documents = read_manifest(await exported(node))
    assert [(document["kind"], document["metadata"]["name"]) for document in documents[1:]] == [
        ("Zone", "example.com"),
        ("Account", "alice"),
        *(("Host", name) for name in sorted(names)),
        ("Token", "t"),
    ]
    assert documents[-1]["spec"]["sha256"] == "a" * 64


@pytest.fixture
def longest() -> Iterator[Callable[[], AbstractAsyncContextManager[list[float]]]]:
    """Measure how long, in seconds of CPU, nobody else had the event loop."""
    gc.disable()  # of all that pytest has in memory, not of what is measured
    yield _longest
    gc.enable()


@asynccontextmanager
async def _longest() -> AsyncIterator[list[float]]:
    gaps: list[float] = []

    async def tick() -> None:
        before = time.thread_time()
        async for _ in paced(itertools.count(), 0.001):
            gaps.append(time.thread_time() - before)
            before = time.thread_time()

    async with running(tick()):
        await turn_loop()
        yield gaps
        seen = len(gaps)
        await until(lambda: len(gaps) > seen + 1)


async def test_others_have_the_loop_while_it_is_written_and_read(longest: Any) -> None:
    state = State()
    state.installation.put("", Entry("installation", 1, 1, Installation("x")))
    for number in range(12_000):
        name = f"h{number}.example.com"
        state.hosts.put(name, Entry(f"hosts/{name}", 1, 1, Resource(HostSpec("alice"))))
    async with longest() as writing:
        archive = b"".join([part async for part in Export(state, 1, datetime.now(UTC)).parts()])
    async with longest() as reading:
        assert len((await read(archive)).items) == 12_000
    assert sum(writing) > 0.06, "too fast to tell"
    assert max(writing) < 0.03
    assert max(reading) < 0.03


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_text_survives(text: str) -> None:
    document = write_document(Document(Kind.ZONE, "example.com", ZoneSpec(text)))
    assert read_manifest(yaml_of(document)) == [document]


@given(st.integers(1, 200))
def test_documents_are_found_however_the_bytes_arrive(size: int) -> None:
    stream = DocumentStream()
    chunks = [GOLDEN[start : start + size] for start in range(0, len(GOLDEN), size)]
    texts = [text for chunk in chunks for text in stream.feed(chunk)] + [stream.finish()]
    assert b"".join(texts) == GOLDEN
    assert len(texts) == 6


async def test_archive_that_was_cut_off_anywhere_is_refused() -> None:
    whole = GOLDEN.rstrip()
    line_ends = {end for end in range(len(whole)) if whole[end : end + 1] == b"\n"}
    for end in sorted(line_ends | set(range(0, len(whole), 7))):
        with pytest.raises(InvalidDocumentError):
            await read(whole[:end])
    assert await read(whole) == await read(GOLDEN)


def replaced(old: str, new: str) -> bytes:
    return GOLDEN.replace(old.encode(), new.encode())


BROKEN = (
    (b"", 0, "", "there is no document in it"),
    (b"# nothing\n", 0, "", "there is no document in it"),
    (b"---\nkind: Zone\n" + GOLDEN, 1, "kind", "this is no export"),
    (b"[1, 2]", 1, "kind", "this is no export"),
    (replaced("format\": 1", "format\": 2"), 1, "spec.format", "upgrade it first"),
    (replaced('"revision": 42', '"revision": "x"'), 1, "spec", "not as it was written"),
    (GOLDEN.removesuffix(b"...\n"), 6, "", "cut off after this"),
    (GOLDEN + GOLDEN, 7, "kind", "'Export': not a kind"),
    (replaced('kind: "Zone"', 'kind: "Zane"'), 2, "kind", "not a kind"),
    (replaced('"ttl": 300', '"ttl": 0'), 2, "spec.ttl", "whole number of seconds"),
    (replaced('"enabled": true', '"enabled": true, "color": 1'), 2, "spec.color", "unknown field"),
    (replaced('kind: "Zone"', "kind: [Zone"), 2, "", "no YAML: line "),
    (replaced("xn--fiq228c", "blog"), 5, "metadata.name", "the same as document 4"),
    (replaced("192.0.2.7", "192.0.2.700"), 4, "status.A.ip", "not an address of family A"),
    (replaced("192.0.2.7", "2001:db8::1"), 4, "status.A.ip", "not an address of family A"),
    (replaced("192.0.2.4", "none"), 4, "status.A.previous", 'none is ""'),
    (replaced("2026-07-01T08:15:30.123456Z", "yesterday"), 4, "status.A.changed", "write an instant"),
    (replaced("2026-07-01T08:15:30.123456Z", "0001-01-01T00:00:00+23:00"), 4, "status.A.changed", "instant"),
    (replaced('"changed": ', '"since": '), 4, "status.A.since", "unknown field; known here"),
    (replaced('status: {"A": {"ip"', 'status: {"MX": {"ip"'), 4, "status.MX", "no address of this kind"),
    (replaced('"families": ["A"]', '"families": ["AAAA"]'), 4, "status.A", "no address of this kind"),
    (replaced('status: {"A": {', 'status: {"A": [], "B": {'), 4, "status.A", "write a group of fields"),
    (replaced("status: {", "status: [1] #"), 4, "status", "write a group of fields"),
    (replaced('spec: {"status"', 'status: {A: {}}\nspec: {"status"'), 3, "status.A", "of a Host"),
)  # fmt: skip


@pytest.mark.parametrize(("archive", "place", "field", "message"), BROKEN)
async def test_problem_names_document_field_and_remedy(
    archive: bytes, place: int, field: str, message: str
) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        await read(archive)
    problem = caught.value.problems[0]
    assert (problem.document, problem.field) == (place, field)
    assert message in problem.message


async def test_all_problems_are_told_up_to_a_thousand() -> None:
    bad = b'---\napiVersion: "ddnsd.dev/v1alpha1"\nkind: "Zone"\nmetadata: {"name": "_"}\nspec: {"ttl": 0}\n'
    with pytest.raises(InvalidDocumentError) as caught:
        await read(GOLDEN.removesuffix(b"...\n") + bad * 700 + b"...\n")
    problems = caught.value.problems
    assert [problem.document for problem in problems[:3]] == [7, 7, 8]
    assert (len(problems), problems[-1].message) == (1001, "and 400 more")


async def test_status_as_get_shows_it_is_read() -> None:
    shown = replaced('"previous": "192.0.2.4"', '"previous": "192.0.2.4", "published": null, "error": "x"')
    assert await read(shown) == await read(GOLDEN)


async def test_document_without_end_is_not_read_to_its_end() -> None:
    reader = ArchiveReader()
    await reader.feed(GOLDEN.removesuffix(b"...\n"))
    for _ in range(MAX_DOCUMENT // 65536 + 1):
        await reader.feed(b"#" * 65536)
    with pytest.raises(InvalidDocumentError, match="a document of more than"):
        reader.finish()
