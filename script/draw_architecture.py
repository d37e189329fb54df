"""Draw docs/architecture.svg: a row for each layer, a box for each package, an arrow for each import.

An arrow is left out where it follows from others: `cli` imports `model`, as everything that it imports does.
The result depends on the tree alone, so that a test can compare it.
"""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "ddnsd"
TARGET = ROOT / "docs" / "architecture.svg"

_INNER = 1000  # px, of the rows
_GAP = 20  # px, between two boxes
_PADDING = 12  # px
_LINE = 15  # px
_TRACK = 9  # px, between two parallel arrows
_CHARACTER = 6.7  # px, of the monospaced text; the other text is narrower
_STYLE = """
svg { --paper: #fff; --ink: #1f2328; --soft: #57606a; --box: #f6f8fa; --edge: #d0d7de; --line: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --box: #151b23; --edge: #3d444d; --line: #4493f8; }
}
.paper { fill: var(--paper); } .box { fill: var(--box); stroke: var(--edge); }
text { fill: var(--ink); font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.name { font: bold 15px system-ui, sans-serif; }
.what { fill: var(--soft); font: 12px system-ui, sans-serif; }
.inner { font-weight: bold; }
.arrow { fill: none; stroke: var(--line); stroke-width: 1.4; } #head { fill: var(--line); }
""".strip()

Edge = tuple[str, str]
"""Who imports, and what."""
Part = tuple[Edge, bool]
"""A horizontal part of an arrow, and whether it arrives at the target from a lane."""


class Text(NamedTuple):
    """A line in a box, and the class that it is drawn with."""

    text: str
    style: str = "module"


@dataclass
class Box:
    """A package where it is drawn."""

    name: str
    row: int
    x: float
    width: float
    lines: Sequence[Text]
    y: float = 0.0
    height: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


class Way(NamedTuple):
    """An arrow: down to a track, along it, perhaps down a lane to another track, and into its box."""

    edge: Edge
    start: float
    end: float
    lane: float | None


def layers() -> list[list[str]]:
    """Return the rows, top to bottom, as import-linter holds them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (each for each in linter["contracts"] if each["id"] == "layers")
    return [[name.strip(" ()") for name in row.split("|")] for row in contract["layers"]]


def imports(packages: Iterable[str]) -> set[Edge]:
    """Return which package imports which."""
    found = set()
    for package in packages:
        for path in _files(package):
            for node in ast.walk(ast.parse(path.read_text())):
                found |= {(package, name) for name in _imported(node) if name != package}
    known = set(packages)
    return {edge for edge in found if edge[1] in known}


def reduced(edges: set[Edge]) -> list[Edge]:
    """Return the edges that do not follow from others."""
    below: dict[str, set[str]] = defaultdict(set)
    for source, target in edges:
        below[source].add(target)

    def reaches(source: str, target: str) -> bool:
        return any(name == target or reaches(name, target) for name in below[source])

    return sorted(
        (source, target)
        for source, target in edges
        if not any(reaches(name, target) for name in below[source] - {target})
    )


def draw() -> str:
    """Return the drawing."""
    rows = layers()
    boxes = {box.name: box for number, row in enumerate(rows) for box in _row(number, row)}
    ways = _routes(reduced(imports(boxes)), boxes)
    tracks = _tracks(ways, boxes)
    top = float(_GAP)
    channels = []
    for number in range(len(rows)):
        members = [box for box in boxes.values() if box.row == number]
        height = 2 * _PADDING + _LINE * max(len(box.lines) for box in members)
        for box in members:
            box.y, box.height = top, height
        top += height
        channels.append(top)
        top += _GAP + (_TRACK * (len(tracks[number]) + 1) if tracks[number] else 0)
    left = min(way.lane or 0 for way in ways) - _GAP
    width = max(way.lane or _INNER for way in ways) + _GAP - left
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:g} 0 {width:g} {top:g}" role="img">',
            "<title>The packages of ddnsd, in layers</title>",
            "<desc>Made by script/draw-architecture. An arrow leads to what a package imports; arrows that"
            " follow from others are left out.</desc>",
            f"<style>\n{_STYLE}\n</style>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="paper" x="{left:g}" width="{width:g}" height="{top:g}"/>',
            *(_drawn(boxes[name]) for row in rows for name in row),
            *(_arrow(way, boxes, tracks, channels) for way in ways),
            "</svg>\n",
        )
    )


def _files(package: str) -> list[Path]:
    single = SOURCE / f"{package}.py"
    return [single] if single.exists() else sorted((SOURCE / package).rglob("*.py"))


def _imported(node: ast.AST) -> list[str]:
    """Return the packages that a statement names; imports are absolute (ruff holds it)."""
    if isinstance(node, ast.ImportFrom) and node.module == "ddnsd":
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        return []
    return [name.split(".")[1] for name in names if name.startswith("ddnsd.")]


def _row(number: int, names: Sequence[str]) -> list[Box]:
    """Place a layer's packages side by side, wider where more is inside."""
    room = _INNER - _GAP * (len(names) - 1)
    weights = [max(8, len(_files(name))) for name in names]
    boxes, x = [], 0.0
    for name, weight in zip(names, weights, strict=True):
        width = round(room * weight / sum(weights))
        boxes.append(Box(name, number, x, width, _lines(name, width)))
        x += width + _GAP
    return boxes


def _lines(package: str, width: float) -> list[Text]:
    """Return what a box says: the package's name, its first sentence, its modules, and inner packages."""
    characters = int((width - 2 * _PADDING) / _CHARACTER)
    single = SOURCE / f"{package}.py"
    described = single if single.exists() else SOURCE / package / "__init__.py"
    lines = [Text(package, "name")]
    lines += [Text(line, "what") for line in _wrapped(_sentence(described).split(), characters, " ")]
    if single.exists():
        return lines
    folders = sorted({path.parent for path in _files(package)})
    for folder in folders:
        modules = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
        if folder != SOURCE / package:
            lines.append(Text(f"{folder.relative_to(SOURCE / package)}/", "inner"))
        lines += [Text(line) for line in _wrapped(modules, characters, " · ")]
    return lines


def _sentence(module: Path) -> str:
    """Return the first sentence of a module's docstring, without where to read on."""
    first = " ".join((ast.get_docstring(ast.parse(module.read_text())) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s|: see |\.$", first)[0].rstrip(".")


def _wrapped(words: Sequence[str], characters: int, between: str) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(between) + len(word) <= characters:
            lines[-1] += between + word
        else:
            lines.append(word)
    return lines


def _routes(edges: Sequence[Edge], boxes: Mapping[str, Box]) -> list[Way]:
    """Spread the arrows over the edges of their boxes; those that pass over a row take a lane at a side."""
    out, into = defaultdict(list), defaultdict(list)
    for source, target in edges:
        out[source].append(target)
        into[target].append(source)
    passing = [edge for edge in edges if boxes[edge[1]].row > boxes[edge[0]].row + 1]
    lanes: dict[Edge, float] = {}
    used = {"left": 0, "right": 0}
    for edge in sorted(passing, key=lambda edge: boxes[edge[1]].row - boxes[edge[0]].row):
        side = "left" if boxes[edge[0]].middle + boxes[edge[1]].middle < _INNER else "right"
        used[side] += 1
        offset = _GAP / 2 + _TRACK * used[side]
        lanes[edge] = -offset if side == "left" else _INNER + offset
    return [
        Way(
            (source, target),
            _port(boxes[source], target, out[source], boxes),
            _port(boxes[target], source, into[target], boxes),
            lanes.get((source, target)),
        )
        for source, target in edges
    ]


def _port(box: Box, other: str, others: Sequence[str], boxes: Mapping[str, Box]) -> float:
    """Return where at a box the arrow from or to another ends; arrows are in the order of the others."""
    order = sorted(others, key=lambda name: (boxes[name].middle, name))
    return box.x + box.width * (order.index(other) + 1) / (len(order) + 1)


def _tracks(ways: Sequence[Way], boxes: Mapping[str, Box]) -> dict[int, list[Part]]:
    """Return the horizontal parts in the channel below each row, one below the other."""
    tracks: dict[int, list[Part]] = defaultdict(list)
    for way in ways:
        tracks[boxes[way.edge[0]].row].append((way.edge, False))
        if way.lane is not None:
            tracks[boxes[way.edge[1]].row - 1].append((way.edge, True))
    return tracks


def _arrow(
    way: Way, boxes: Mapping[str, Box], tracks: Mapping[int, Sequence[Part]], channels: Sequence[float]
) -> str:
    source, target = (boxes[name] for name in way.edge)

    def track(row: int, arrives: bool) -> float:
        return channels[row] + _GAP / 2 + _TRACK * (tracks[row].index((way.edge, arrives)) + 1)

    line = f"M{way.start:.1f} {source.bottom:g}V{track(source.row, False):g}"
    if way.lane is not None:
        line += f"H{way.lane:g}V{track(target.row - 1, True):g}"
    title = f"<title>{way.edge[0]} imports {way.edge[1]}</title>"
    return f'<path class="arrow" marker-end="url(#head)" d="{line}H{way.end:.1f}V{target.y:g}">{title}</path>'


def _drawn(box: Box) -> str:
    texts = [
        f'<text class="{line.style}" x="{box.x + _PADDING:g}"'
        f' y="{box.y + _PADDING + _LINE * (number + 0.8):g}">{escape(line.text)}</text>'
        for number, line in enumerate(box.lines)
    ]
    size = f'width="{box.width:g}" height="{box.height:g}"'
    return "\n".join((f'<rect class="box" rx="6" x="{box.x:g}" y="{box.y:g}" {size}/>', *texts))


def main() -> int:
    drawing = draw()
    if sys.argv[1:] == ["--check"]:
        fresh = TARGET.exists() and TARGET.read_text() == drawing
        print(f"{TARGET.relative_to(ROOT)} is {'fresh' if fresh else 'stale: run script/draw-architecture'}")
        return not fresh
    TARGET.write_text(drawing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
