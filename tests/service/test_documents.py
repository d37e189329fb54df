import string
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.config.loader import YamlError
from ddnsd.config.reader import remedy, shape
from ddnsd.model.addresses import Family
from ddnsd.model.resources import (
    MAX_EXPIRY,
    MAX_OVERLAP,
    MIN_EXPIRY,
    SPECS,
    AccountSpec,
    HostSpec,
    Kind,
    Origin,
    Scope,
    TokenSpec,
    ZoneSpec,
    previous_name,
    qualified,
)
from ddnsd.service.documents import (
    Document,
    InvalidDocumentError,
    read_document,
    read_new_token,
    write_document,
)
from ddnsd.service.manifests import read_manifest, write_manifest
from tests.narrow import only
from tests.rigs.documents import document
from tests.service.registry_node import account, host, token, zone

LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=10)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
INSTANTS = st.none() | st.datetimes(timezones=st.just(UTC))
TTLS = st.integers(1, 2**31 - 1)
ACCOUNTS = st.builds(AccountSpec, st.sampled_from(["active", "banned"])) | st.builds(
    AccountSpec, st.just("suspended"), INSTANTS
)
FAMILIES = st.sampled_from([(Family.A,), (Family.AAAA,), (Family.A, Family.AAAA)])
SUFFIXES = st.none() | st.integers(1, 2**64 - 1).map(IPv6Address).map(str)
SUBNETS = st.none() | st.integers(0, 2**48 - 1).map("{:x}".format)
SCOPES = st.sampled_from([None, (Scope.ADDRESS,), (Scope.TXT,), (Scope.ADDRESS, Scope.TXT)])


def read_host(raw: Any) -> HostSpec:
    return only(HostSpec, read_document(raw).spec)


def read_token(raw: Any) -> TokenSpec:
    return only(TokenSpec, read_document(raw).spec)


@st.composite
def host_specs(draw: st.DrawFn) -> HostSpec:
    """Return a spec that contradicts itself nowhere."""
    families = draw(FAMILIES)
    suffix = draw(SUFFIXES) if Family.AAAA in families else None
    return HostSpec(
        draw(NAMES),
        families,
        ttl=draw(st.none() | TTLS),
        enabled=draw(st.booleans()),
        wildcard=draw(st.booleans()),
        ipv6_suffix=suffix,
        ipv6_subnet=draw(SUBNETS) if suffix else None,
        expires_after=draw(st.none() | st.integers(MIN_EXPIRY, MAX_EXPIRY)),
    )


@st.composite
def token_specs(draw: st.DrawFn) -> TokenSpec:
    """Return a spec of which every field may be set."""
    return TokenSpec(
        draw(NAMES),
        draw(DIGESTS),
        hosts=draw(HOSTS),
        expires=draw(INSTANTS),
        disabled=draw(st.booleans()),
        rotation_overlap=draw(st.integers(0, MAX_OVERLAP)),
        scopes=draw(SCOPES),
    )


DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
HOSTS = st.none() | st.sets(NAMES, min_size=1, max_size=4).map(lambda names: tuple(sorted(names)))
ZONES = st.builds(ZoneSpec, NAMES, TTLS, st.booleans())
DOCUMENTS = st.one_of(
    st.builds(Document, st.just(Kind.ZONE), NAMES, ZONES, st.none()),
    st.builds(Document, st.just(Kind.ACCOUNT), NAMES, ACCOUNTS, st.none()),
    st.builds(Document, st.just(Kind.HOST), NAMES, host_specs(), st.none()),
    st.builds(Document, st.just(Kind.TOKEN), NAMES | NAMES.map(previous_name), token_specs(), st.none()),
)
ORIGINS = st.builds(Origin, LABELS, LABELS)


@st.composite
def managed(draw: st.DrawFn) -> Document:
    """Return a document as Kubernetes manages it."""
    origin, name, account = draw(ORIGINS), draw(NAMES), qualified(draw(ORIGINS), draw(NAMES))
    return draw(
        st.sampled_from(
            [
                Document(Kind.ZONE, name, ZoneSpec(), Origin(origin.source)),
                Document(Kind.ACCOUNT, qualified(origin, name), AccountSpec(), origin),
                Document(Kind.HOST, name, HostSpec(account), origin),
                Document(Kind.TOKEN, qualified(origin, name), TokenSpec(account, "1" * 64), origin),
                Document(
                    Kind.TOKEN, previous_name(qualified(origin, name)), TokenSpec(account, "1" * 64), origin
                ),
            ]
        )
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def problems_of(raw: object) -> list[str]:
    with pytest.raises(InvalidDocumentError) as caught:
        read_document(raw)
    return [f"{problem.field}: {problem.message}" for problem in caught.value.problems]


@given(DOCUMENTS)
def test_what_is_written_reads_as_the_same(document: Document) -> None:
    assert read_document(write_document(document)) == document


@given(managed())
def test_what_is_managed_reads_as_the_same_where_it_is_stored_and_is_refused_elsewhere(
    document: Document,
) -> None:
    written = write_document(document)
    assert read_document(written, stored=True) == document
    (problem,) = [one for one in problems_of(written) if one.startswith("metadata")]
    assert problem.startswith("metadata.source: Kubernetes manages it: change it there with kubectl")


def test_no_document_of_a_user_has_or_names_what_kubernetes_qualifies() -> None:
    assert problems_of(account("prod:home:alice"))[0].startswith("metadata.name: 'prod:home:alice'")
    assert problems_of(host("a.example.com", "prod:home:alice"))[0].startswith("spec.account")
    assert problems_of(account("alice:previous"))[0].startswith("metadata.name")


@pytest.mark.parametrize(
    "metadata", [{"source": 1}, {"source": "prod", "namespace": []}, {"source": "prod", "uid": "x"}]
)
def test_an_origin_that_is_none_is_refused(metadata: dict[str, Any]) -> None:
    raw = account("alice") | {"metadata": {"name": "alice", **metadata}}
    with pytest.raises(InvalidDocumentError, match="metadata"):
        read_document(raw, stored=True)


@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
def test_yaml_carries_every_document(documents: list[Document]) -> None:
    text = write_manifest([write_document(document) for document in documents])
    assert [read_document(raw) for raw in read_manifest(text)] == documents


@given(JSON, st.sampled_from([kind.value for kind in Kind]), st.dictionaries(st.text(), JSON, max_size=4))
def test_no_json_makes_it_fail_otherwise_than_by_refusing(
    noise: list[Any] | dict[str, Any] | int | float | str | None,
    kind: str | str | str | str,
    spec: dict[str, list[Any] | dict[str, Any] | int | float | str | None],
) -> None:
    known = (field.encode_name for each in SPECS.values() for field in msgspec.structs.fields(each))
    fields = dict.fromkeys(known, noise)
    nameless = document(kind, "x") | {"spec": spec, "metadata": noise}
    for raw in (noise, document(kind, "x", **fields), nameless):
        with pytest.raises(InvalidDocumentError):
            read_document(raw)


def test_defaults_are_written_out_and_what_is_absent_is_left_out() -> None:
    assert write_document(read_document(host("blog.example.com")))["spec"] == {
        "account": "alice",
        "families": ["A", "AAAA"],
        "enabled": True,
        "wildcard": False,
    }


@pytest.mark.parametrize("written", ["BLOG.Example.COM.", "blog.example.com"])
def test_a_dns_name_has_one_spelling(written: str) -> None:
    assert read_document(host(written)).name == "blog.example.com"


def test_an_international_name_is_stored_as_a_labels() -> None:
    assert read_document(zone("Bücher.example")).name == "xn--bcher-kva.example"


def test_lists_are_put_in_order_and_have_no_doubles() -> None:
    families = read_host(host("a.example.com", families=["AAAA", "A", "AAAA"])).families
    assert families == ("A", "AAAA")
    spec = read_token(token("t", "1", hosts=["b.example.com", "A.example.com.", "b.example.com"]))
    assert spec.hosts == ("a.example.com", "b.example.com")


def test_scopes_are_put_in_order_and_have_no_doubles() -> None:
    assert read_token(token("t", "1", scopes=["txt", "address", "txt"])).scopes == ("address", "txt")


@pytest.mark.parametrize(
    ("written", "suffix"),
    [
        ("::1234:5678:9abc:def0", "::1234:5678:9abc:def0"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::00A1", "::a1"),
        ("::192.0.2.1", "::c000:201"),
        ("0::8000:0:0:0", "::8000:0:0:0"),
    ],
)
def test_an_interface_identifier_has_one_spelling(written: str, suffix: str) -> None:
    spec = read_host(host("a.example.com", ipv6Suffix=written))
    assert (spec.ipv6_suffix, spec.ipv6_subnet) == (suffix, None)


@pytest.mark.parametrize(("written", "subnet"), [("0", "0"), ("00", "0"), ("0A", "a"), ("f" * 12, "f" * 12)])
def test_a_subnet_has_one_spelling(written: str, subnet: str) -> None:
    spec = read_host(host("a.example.com", ipv6Suffix="::1", ipv6Subnet=written))
    assert spec.ipv6_subnet == subnet


def test_a_wildcard_host_leaves_room_for_the_asterisk() -> None:
    longest = ".".join(["a" * 62] * 3 + ["b" * 62])
    assert len(longest) == 251
    assert read_host(host(longest, wildcard=True)).wildcard
    assert read_document(host(f"a{longest}"))
    (problem,) = problems_of(host(f"a{longest}", wildcard=True))
    assert problem.startswith("metadata.name: leaves no room for *. before it: 251 characters at most")


def test_instants_are_kept_in_utc() -> None:
    spec = read_token(token("t", "1", expires="2027-11-01T08:00:00+08:00"))
    assert spec.expires == datetime(2027, 11, 1, tzinfo=UTC)


def test_a_status_is_ignored() -> None:
    assert read_document(host("a.example.com") | {"status": {"A": 1}}) == read_document(host("a.example.com"))


def test_an_account_needs_no_spec() -> None:
    raw = account("alice")
    del raw["spec"]
    assert read_document(raw).spec == AccountSpec()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (7, ": 7: write a document"),
        ({}, "kind: missing: write one of Zone, Account, Host, Token"),
        (document("Hots", "x"), "kind: 'Hots': not a kind; did you mean Host?"),
        (zone("example.com") | {"apiVersion": "v1"}, "apiVersion: 'v1': write ddnsd.dev/v1alpha1"),
        (zone("example.com") | {"sepc": {}}, "sepc: unknown field; did you mean spec?"),
        (
            zone("example.com") | {"metadata": {"name": "example.com", "labels": {}}},
            "metadata.labels: unknown field; there is only `name`: remove it",
        ),
        (zone("*.example.com"), "metadata.name: '*.example.com': not a DNS name"),
        (zone("x") | {"metadata": {"name": True}}, "metadata.name: true: write a text, in quotes if"),
        (account("Alice"), "metadata.name: 'Alice': write lower-case letters, digits, '-' and '.'"),
        (account("a" * 254), "253 at most"),
        (zone(".".join(["z" * 60] * 4)), "leaves no room for the names in it: 189 characters at most"),
        (zone("example.com", ttl=0), "spec.ttl: 0: write a whole number of seconds from 1 to 2147483647"),
        (zone("example.com", ttl=True), "spec.ttl: true: write a whole number of seconds"),
        (zone("example.com", enabled=None), "spec.enabled: null: write true or false"),
        (zone("example.com") | {"spec": []}, "spec: a list: write a group of fields"),
        (host("a.example.com", acount="x"), "spec.acount: unknown field; did you mean account?"),
        (host("a.example.com", families=["A", "MX"]), "spec.families[1]: 'MX': write a list of A and AAAA"),
        (host("a.example.com", families=[]), "spec.families: a list: write a list of A and AAAA"),
        (account("a", status="active", suspendedUntil="2026-12-01T00:00:00Z"), "only with status: suspended"),
        (
            account("a", status="suspended", suspendedUntil="soon"),
            "spec.suspendedUntil: 'soon': write an instant",
        ),
        (host("a.example.com", wildcard="yes"), "spec.wildcard: 'yes': write true or false"),
        (host("a.example.com", ipv6Suffix=1), "spec.ipv6Suffix: 1: write the last 64 bits of the host's"),
        (host("a.example.com", ipv6Suffix="1:2"), "spec.ipv6Suffix: '1:2': not an IPv6 address: write one"),
        (host("a.example.com", ipv6Suffix="::1%eth0"), ': more than the last 64 bits: write "::1"'),
        (host("a.example.com", ipv6Suffix="2001:db8::5"), ': more than the last 64 bits: write "::5"'),
        (host("a.example.com", ipv6Suffix="2001:db8::"), "'2001:db8::': not an interface: write its bits"),
        (host("a.example.com", ipv6Suffix="::"), "spec.ipv6Suffix: '::': not an interface: write its bits"),
        (
            host("a.example.com", ipv6Suffix="::1", families=["A"]),
            "spec.ipv6Suffix: only with AAAA in families; leave it out, or add that",
        ),
        (
            host("a.example.com", ipv6Suffix="::1", ipv6Subnet=10),
            "spec.ipv6Subnet: 10: quote it: it is hexadecimal",
        ),
        (
            host("a.example.com", ipv6Suffix="::1", ipv6Subnet="1g"),
            "spec.ipv6Subnet: '1g': write 1 to 12 hexadecimal digits",
        ),
        (host("a.example.com", ipv6Suffix="::1", ipv6Subnet=""), "spec.ipv6Subnet: '': write 1 to 12 hex"),
        (host("a.example.com", ipv6Suffix="::1", ipv6Subnet="1" * 13), "1 to 12 hexadecimal digits"),
        (
            host("a.example.com", ipv6Subnet="1f"),
            "spec.ipv6Subnet: only with ipv6Suffix; leave it out, or write that, too",
        ),
        (
            host("a.example.com", expiresAfter=59),
            "spec.expiresAfter: 59: write a whole number of seconds from",
        ),
        (
            host("a.example.com", expiresAfter="1d"),
            "spec.expiresAfter: '1d': write a whole number of",
        ),
        (token("t", "1", scopes=["adress"]), "spec.scopes[0]: 'adress': write a list of address and txt"),
        (token("t", "1", scopes=[]), "spec.scopes: a list: write a list of address and txt"),
        # Python's `$` lets a last end of line through.
        (zone("example.com", reserved=["wpad\n"]), r"spec.reserved[0]: 'wpad\n': write a list of labels"),
        (token("t", "1", hosts=[]), "spec.hosts: an empty list allows nothing"),
        (token("t", "1", hosts=["_x"]), "spec.hosts[0]: '_x': not a DNS name"),
        (token("t", "1", expires="0001-01-01T00:00:00+01:00"), "spec.expires"),
        (
            document("Token", "t", account="alice"),
            "spec.sha256: missing: create the token with `ddnsd token create`",
        ),
    ],
)
def test_a_problem_names_field_value_and_remedy(raw: dict[str, Any] | int, expected: str) -> None:
    assert expected in problems_of(raw)[0]


def test_all_problems_are_found_at_once() -> None:
    raw = document("Host", "_", ttl=-1, families="A", colour="red") | {"apiVersion": "v2"}
    fields = " ".join(problem.split(":")[0] for problem in problems_of(raw))
    assert fields == "apiVersion metadata.name spec.colour spec.account spec.families spec.ttl"


@pytest.mark.parametrize("field", ["sha256", "secret", "token", "Password", "anything"])
def test_a_mistaken_secret_is_never_shown(field: str) -> None:
    raw = document("Token", "t", account="alice", **{field: "correct-horse-battery"})
    assert "correct" not in str(problems_of(raw))


def test_all_wrong_items_of_a_list_are_found_at_once() -> None:
    found = problems_of(host("a.example.com", families=["a", "A", "MX"]))
    assert [problem.split(":")[0] for problem in found] == ["spec.families[0]", "spec.families[2]"]
    assert len(problems_of(host("a.example.com", families=["a"] * 1000))) == 20


def test_every_field_has_a_remedy() -> None:
    for spec in SPECS.values():
        for field in msgspec.structs.fields(spec):
            assert remedy(shape(field.type)).startswith(("write ", "quote it", "not a SHA-256: write "))


def test_a_new_token_gets_a_digest_unless_it_brings_one() -> None:
    made, was_made = read_new_token(document("Token", "t", account="alice"), "abc", NOW)
    assert was_made
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert only(TokenSpec, made.spec).sha256 == digest
    brought, was_made = read_new_token(token("t", "1"), "abc", NOW)
    assert not was_made
    assert only(TokenSpec, brought.spec).sha256 == "1" * 64
    with pytest.raises(InvalidDocumentError, match="only a Token"):
        read_new_token(account("a"), "abc", NOW)


def test_a_new_token_has_not_expired() -> None:
    raw = token("t", "1", expires="2026-01-01T01:00:00+01:00")
    with pytest.raises(
        InvalidDocumentError, match=r"2026-01-01T00:00:00\+00:00 is in the past: write a later"
    ):
        read_new_token(raw, "abc", NOW)
    assert read_new_token(raw, "abc", NOW - timedelta(seconds=1))
    assert read_token(raw).expires == NOW


@pytest.mark.parametrize("text", ["on", "y", "N", "1e5", "12:30", "007", "0o17", "1_000", "~", ".5"])
def test_a_text_that_yaml_would_misread_is_quoted(text: str) -> None:
    assert write_manifest([{"a": text}]) == f"a: '{text}'\n"
    assert read_manifest(write_manifest([{"a": text}])) == [{"a": text}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\na: 2", "^a: written twice, in lines 1 and 2: keep one$"),
        ("a: &x 1\nb: *x", "aliases are not read here"),
        ("a: [", "line 2"),
        ("a:\n\tb: 1", "line 2, column 1: .*: indent with spaces"),
        (b"\xef\xbb\xbfa:\n  b: 1\n\tc: 2", "line 3, column 1: .*: indent with spaces"),
        ("name: *.example.com", "line 1, column 8: .*: quote .* wildcard: true"),
        ("a: @x", "cannot start any token$"),
        ("a: !!python/object:os.system x", "line 1, column 4: tags are not read here: remove it"),
        ("[" * 5000, "more than 32 levels deep"),
        ('a: "\\ud800"', "line 1"),
        ("? [1]\n: 2", "^line 1: a key is a plain word$"),
    ],
)
def test_a_stream_that_is_no_plain_yaml_is_refused(text: bytes | str, expected: str) -> None:
    with pytest.raises(YamlError, match=expected.replace("[", r"\[")):
        read_manifest(text)


def test_an_unquoted_instant_is_text() -> None:
    assert read_manifest("a: 2026-12-01T00:00:00Z\n---\n") == [{"a": "2026-12-01T00:00:00Z"}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: !!str 12", "12"),
        ("a: 9223372036854775808", "9223372036854775808"),
        ("a: 0x7fffffff", 2**31 - 1),
        ("a: .inf", ".inf"),
        ("a: =", "="),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: 12".encode("utf-16"), 12),  # as `>` of PowerShell writes it
    ],
)
def test_what_json_has_no_word_for_stays_text(text: str | bytes, value: object) -> None:
    assert read_manifest(text) == [{"a": value}]


def test_what_is_unknown_in_the_metadata_is_found_beside_a_missing_name() -> None:
    found = problems_of(zone("example.com") | {"metadata": {"labels": {}}})
    assert [each.split(":")[0] for each in found] == ["metadata.labels", "metadata.name"]


def documented() -> list[str]:
    """Return the blocks of documents in the page, without those of config.yaml."""
    text = (Path(__file__).parents[2] / "docs/admin/reference.md").read_text()
    blocks = (block.split("```")[0] for block in text.split("```yaml")[1:])
    return [block for block in blocks if "apiVersion:" in block]


def test_the_documents_in_the_docs_are_right() -> None:
    whole, token = documented()
    documents = read_manifest(whole) + read_manifest(token.replace("…", "1" * 64))
    assert [read_document(raw).kind for raw in documents] == [Kind.ZONE, Kind.ACCOUNT, Kind.HOST, Kind.TOKEN]


def test_the_defaults_in_the_docs_are_right() -> None:
    for raw in read_manifest("---".join(documented())):
        required = {"account": "alice", "sha256": "1" * 64}
        spec = {key: required.get(key, value) for key, value in raw["spec"].items()}
        bare = {key: spec[key] for key in spec if key in required}
        assert read_document(raw | {"spec": spec}) == read_document(raw | {"spec": bare})


@pytest.mark.parametrize(("text", "value"), [("off", False), ("0100", 64), ("1:30", 90), ('"0100"', "0100")])
def test_yaml_is_1_1(text: str, value: bool | int | str) -> None:
    assert read_manifest(f"a: {text}") == [{"a": value}]
