"""Every link in a Markdown page leads to a file and a heading; what the tree says of `docs/` exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    Path(line)
    for line in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / line).exists()
)
_FENCE = re.compile(r"(?ms)^ *(`{3,})[^\n]*\n.*?^ *\1 *$")
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_NAMED = re.compile(r"(?<![\w/.-])(?:\.\./)*docs/(?:[\w-]+/)*[\w.-]+\.(?:md|svg)\b")


def prose(text: str) -> str:
    """Return a page without its code, where a bracket is not a link."""
    return _CODE.sub("", _FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them: of two alike the second ends in `-1`."""
    found: dict[str, int] = {}
    made = set()
    for heading in re.findall(r"(?m)^#+ (.+?) *$", _FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w -]", "", words.lower()).replace(" ", "-")
        made.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return made


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that stay in the tree."""
    targets = [inline or reference for inline, reference in _LINK.findall(prose((ROOT / page).read_text()))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = (ROOT / page.parent / name).resolve() if name else ROOT / page
        assert file.exists(), f"{page}: {target} leads to no file"
        assert file.is_relative_to(ROOT), f"{page}: {target} leads out of the repository"
        assert not anchor or anchor in anchors(file.read_text()), f"{page}: {target} leads to no heading"


def test_the_index_leads_to_every_page() -> None:
    seen = {Path("docs/README.md")}
    wave = list(seen)
    while wave:
        page = wave.pop()
        for target in links(page):
            path = (ROOT / page.parent / target.partition("#")[0]).resolve()
            found = path.relative_to(ROOT) if path.is_relative_to(ROOT) else None
            if found in PAGES and found not in seen:
                seen.add(found)
                wave.append(found)
    lost = [str(page) for page in PAGES if page.parts[0] == "docs" and "decisions" not in page.parts]
    assert [page for page in lost if Path(page) not in seen] == []


def test_what_code_and_charts_say_of_docs_exists() -> None:
    listed = ["git", "grep", "--untracked", "-IlE", r"docs/[a-z0-9/.-]+\.(md|svg)"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "config.yaml" in files
    wrong = [
        f"{file}: {name}"
        for file in files
        for name in _NAMED.findall((ROOT / file).read_text())
        if not (ROOT / name.replace("../", "")).exists()
    ]
    assert wrong == []


_CHINESE = [page for page in PAGES if page.name.endswith(".zh.md")]
_HALF_WIDTH = re.compile(r"""(?<!\d),|,(?!\d{3})|[:;?!()"「」]""")


def half_width(text: str) -> list[str]:
    """Return the lines of Chinese prose with punctuation of another script, or with “ ” of another shape."""
    outside = re.sub(r"<!--.*?-->|https?://[^\s）]+", "", re.sub(r"\]\([^)\s]*\)", "]", prose(text)))
    return [line for line in outside.splitlines() if _HALF_WIDTH.search(line)]


@pytest.mark.parametrize("page", _CHINESE, ids=str)
def test_chinese_prose_has_full_width_punctuation(page: Path) -> None:
    assert half_width((ROOT / page).read_text()) == []


@pytest.mark.parametrize("page", _CHINESE, ids=str)
def test_chinese_prose_has_one_word_for_one_thing(page: Path) -> None:
    """响应 for a response, 请求体 for a request's body, 账号 as the contract has it."""
    text = prose((ROOT / page).read_text())
    assert [word for word in ("应答", "正文", "账户") if word in text] == []


@pytest.mark.parametrize(
    "wrong", ["是,否", "见(下文)", "注意:", "一;二", '"好"', "「好」", "1 先于 2,2 先于 3"]
)
def test_punctuation_of_another_width_is_found(wrong: str) -> None:
    assert half_width(f"4,096 字节，`a, b: (c)`，[链接](a.md?x=1)。\n{wrong}\n") == [wrong]


_DIALECT = re.compile(r"(?i)\b(anew|whoever|for ever|so to say|is over|are told|is told|mend|himself)\b")
_OTHERS = {"benchmarks.md", "glossary.md"}  # measured words; words about words
_TABLES = re.compile(r"(?ms)^\| .*?(?=^[^|]|\Z)")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "decisions" not in page.parts and page.name not in _OTHERS], ids=str
)
def test_english_prose_has_no_dialect(page: Path) -> None:
    """What house.md weeds out. Tables are left out: some of them are made from docstrings."""
    text = _TABLES.sub("", prose((ROOT / page).read_text()))
    assert [line for line in text.splitlines() if _DIALECT.search(line)] == []
