"""Domain names as people write them, and their one canonical text."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from ddnsd.model.names import InvalidNameError, ancestors, is_below, label_count, parse_name

LETTERS = string.ascii_lowercase + string.digits
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=6).map(".".join)
LABEL_63 = "a" * 63
NAME_253 = ".".join([LABEL_63] * 3 + ["b" * 61])

# Text that looks like a name: labels, dots of several scripts, what normalisation changes or drops.
NAMELIKE = st.text(
    st.one_of(
        st.sampled_from("aZ09-_.* \x00\n。．｡"),
        st.sampled_from("üÜßſKİıﬁ①ⓐ１\u00ad\u0300\u200b\u200c\u200d\ufe0f"),
        st.characters(),
    ),
    max_size=300,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("blog.example.com", "blog.example.com"),
        ("Blog.EXAMPLE.com", "blog.example.com"),
        ("blog.example.com.", "blog.example.com"),
        ("bücher.example.com", "xn--bcher-kva.example.com"),
        ("BÜCHER.Example.com.", "xn--bcher-kva.example.com"),
        ("XN--BCHER-KVA.example.com", "xn--bcher-kva.example.com"),
        ("例子.example.com", "xn--fsqu00a.example.com"),
        ("blog。example．com｡", "blog.example.com"),  # UTS 46 counts these dots as dots
        ("faß.example.com", "xn--fa-hia.example.com"),  # nontransitional: not "fass"
        ("ｂｌｏｇ.example.com", "blog.example.com"),
        ("\u212aelvin.example.com", "kelvin.example.com"),  # the Kelvin sign
        ("1.2.3.4", "1.2.3.4"),
        ("ab--c.example.com", "ab--c.example.com"),
        pytest.param(LABEL_63, LABEL_63, id="63 octets"),
        pytest.param("ü" * 57, "xn--tda" + "a" * 56, id="63 octets as an A-label"),
        pytest.param(NAME_253, NAME_253, id="253 octets"),
        pytest.param(NAME_253 + ".", NAME_253, id="253 octets and the dot"),
    ],
)
def test_each_spelling_has_one_canonical_text(text: str, name: str) -> None:
    assert parse_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "..",
            ".blog.example.com",
            "blog..example.com",
            "blog.example.com..",
            "blog。。example.com",
        ),
        *("-blog.example.com", "blog-.example.com", "bl_og.example.com", "*.example.com", "b og.example.com"),
        *("blog.example.com\n", "blog\x00.example.com", "blog.example.com/", "blog:80", "b@example.com"),
        *("ü_.example.com", "ü-.example.com", "-ü.example.com", "\xad.example.com", "a\u200db.example.com"),
        *("😀.example.com", "☃.example.com", "pa\u0627ul.example.com", "\u0300a.example.com"),
        *("\ud800.example.com", "xn--ü.example.com", "ü.xn--a.example.com"),
        pytest.param("a" * 64 + ".example.com", id="64 octets"),
        pytest.param(NAME_253 + "c", id="254 octets"),
        pytest.param("ü" * 58 + ".example.com", id="its A-label has 64 octets"),
        pytest.param(".".join(["ü" * 57] * 4), id="four labels of 63 octets as A-labels"),
        pytest.param("ü." + "a." * 100_000, id="very long, international"),
        pytest.param("a" * 1_000_000, id="very long"),
    ],
)
def test_what_cannot_be_a_host_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        parse_name(text)
    assert len(str(caught.value)) < 2000


def test_the_work_on_international_text_is_bounded() -> None:
    name = "bücher.example.com"
    padding = "\xad" * 63  # soft hyphens, which UTS 46 drops
    assert parse_name(padding + name + ".") == "xn--bcher-kva.example.com"
    with pytest.raises(InvalidNameError, match="65 international characters, use A-labels"):
        parse_name("\xad" + padding + name)
    with pytest.raises(InvalidNameError, match="longer than any name"):
        parse_name("é" + "x" * 253)
    assert parse_name(".".join("é" * 8)) == ".".join(["xn--9ca"] * 8)
    assert parse_name(".".join(["xn--9ca"] * 9))
    with pytest.raises(InvalidNameError, match="9 international characters, use A-labels"):
        parse_name("。".join("é" * 9))


@given(NAMELIKE)
@example("İ.example.com")
@example("ﷺ" * 300)
def test_whatever_is_parsed_is_a_canonical_host_name_or_refused(text: str) -> None:
    try:
        name = parse_name(text)
    except InvalidNameError:
        return
    assert name == name.lower()
    assert 0 < len(name) <= 253
    for label in name.split("."):
        assert 0 < len(label) <= 63
        assert set(label) <= set(LETTERS + "-")
        assert label[0] != "-" != label[-1]
    assert parse_name(name) == name


@given(NAMES, st.data())
def test_case_and_the_trailing_dot_do_not_count(name: str, data: DataObject) -> None:
    swapped = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    assert parse_name(swapped) == parse_name(swapped + ".") == name


@given(st.text("üöäéñçåø", min_size=1, max_size=15), NAMES)
def test_a_u_label_is_its_a_label(label: str, rest: str) -> None:
    a_label = b"xn--" + label.encode("punycode")
    if len(a_label) <= 63:
        assert parse_name(f"{label}.example.com") == f"{a_label.decode().lower()}.example.com"
    assert parse_name(f"{label}.example.com") == parse_name(f"{label.upper()}.example.com")


@given(NAMES)
def test_ancestors_are_the_name_and_all_above_it(name: str) -> None:
    found = list(ancestors(name))
    assert found[0] == name
    assert len(found) == label_count(name) == len(name.split("."))
    assert all(is_below(name, above) for above in found[1:])
    assert not is_below(name, name)


def test_below_goes_by_whole_labels() -> None:
    assert is_below("blog.example.com", "example.com")
    assert not is_below("blogexample.com", "example.com")
    assert not is_below("example.com", "blog.example.com")
