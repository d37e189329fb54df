"""Measures the house: how `ddnsd/` is cut into modules, classes and names, and what one update enters.

`script/house` prints the table; test_house.py holds each figure where it is until it is at its target.
"""

import argparse
import ast
import asyncio
import contextlib
import importlib
import inspect
import json
import re
import statistics
import sys
import tempfile
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from tests.rigs.former import environ_of
from tests.system.http import Client
from tests.system.installation import UPDATE, Installation, example

ROOT = Path(__file__).parents[2]
SMALL = 15  # lines: a class below that is a small one
LINES = 32_259  # 15 % fewer than e9c2e87 had
NAMED_TUPLE = {
    "_asdict",
    "_field_defaults",
    "_fields",
    "_make",
    "_replace",
}  # public, in spite of their names
DOCUMENTED = {("os", "_exit"), ("sys", "_current_frames")}
RECORDINGS = 5  # what is entered in each of them is what an update enters, and no timer
SETTLES = 0.5  # seconds that a published record takes at most, with all that is written after it
CLOSES = 0.1  # seconds until a connection is closed on the other side too


class Bound(NamedTuple):
    """What is to be reached, and what may not be exceeded until then."""

    target: float
    held: float  # it may only fall: write the new figure here with the change that lowers it


BOUNDS = {
    "modules per 1,000 lines": Bound(6, 6),
    "lines of the largest module": Bound(600, 600),
    "classes per 100 lines": Bound(1.4, 1.6),  # rises also where lines go: then classes have to go with them
    "classes under 15 lines": Bound(120, 307),
    "type names with two meanings": Bound(0, 0),
    "private parts of libraries": Bound(0, 0),
    "patched private names in tests": Bound(0, 0),
    "imports that break a contract": Bound(1, 1),
    "files, changed update": Bound(36, 38),
    "functions, changed update": Bound(200, 278),
    "types, changed update": Bound(16, 28),
    "files, unchanged update": Bound(18, 22),
    "functions, unchanged update": Bound(60, 104),
    "types, unchanged update": Bound(7, 8),
}


class Median(NamedTuple):
    """A median module of fewer lines is a fragment, and one of more is a heap."""

    least: int  # the target
    held: float  # what it may not fall below until then: it may only rise
    most: int


MEDIAN_NAME = "lines of the median module"
MEDIAN = Median(120, 120, 240)


class Defined(NamedTuple):
    """A class or a type alias at the top of a module."""

    place: str  # file:line
    bases: tuple[str, ...]
    members: frozenset[str]  # public


class Source:
    """All modules of a folder, parsed."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
        self.texts = {str(path.relative_to(folder.parent)): path.read_text() for path in paths}
        self.trees = {path: ast.parse(text) for path, text in self.texts.items()}
        self.lines = {path: text.count("\n") for path, text in self.texts.items()}

    @property
    def total(self) -> int:
        return sum(self.lines.values())

    def classes(self) -> Iterator[tuple[str, ast.ClassDef]]:
        for path, tree in self.trees.items():
            yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))

    def comments(self) -> int:
        """Count the lines that are comments and nothing else."""
        return sum(
            token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
            for text in self.texts.values()
            for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__)
        )


def shape(source: Source) -> dict[str, float]:
    """Return the figures of modules and classes."""
    classes = [node for _, node in source.classes()]
    return {
        "modules per 1,000 lines": 1000 * len(source.lines) / source.total,
        MEDIAN_NAME: statistics.median(source.lines.values()),
        "lines of the largest module": max(source.lines.values()),
        "classes per 100 lines": 100 * len(classes) / source.total,
        "classes under 15 lines": sum((node.end_lineno or 0) - node.lineno + 1 < SMALL for node in classes),
    }


def homonyms(source: Source) -> dict[str, list[Defined]]:
    """Return the public names of classes and type aliases that have two meanings.

    A Protocol and its implementers, or two implementers of one, have one.
    """
    named: defaultdict[str, list[Defined]] = defaultdict(list)
    for path, tree in source.trees.items():
        for node in tree.body:
            if found := _defined(path, node):
                named[found[0]].append(found[1])
    protocols = [
        (name, found)
        for name, several in named.items()
        for found in several
        if "Protocol" in found.bases and found.members
    ]
    return {
        name: several
        for name, several in named.items()
        if len(several) > 1
        and not any(
            all(found is protocol or implements(found, kind, protocol) for found in several)
            for kind, protocol in protocols
        )
    }


def implements(found: Defined, name: str, protocol: Defined) -> bool:
    """Say whether a class names the Protocol as its base, or has all of its members (one proves nothing)."""
    return name in found.bases or (len(protocol.members) > 1 and protocol.members <= found.members)


def _defined(path: str, node: ast.stmt) -> tuple[str, Defined] | None:
    """Return the name and what it is, if the statement defines a public type."""
    place = f"{path}:{node.lineno}"
    match node:
        case ast.ClassDef(name=name, bases=bases, body=body):
            bare = (base.value if isinstance(base, ast.Subscript) else base for base in bases)
            words = tuple(ast.unparse(base).rpartition(".")[2] for base in bare)
            found = Defined(place, words, frozenset(_members(body)))
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_type(value):
            found = Defined(place, (), frozenset())
        case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
            found = Defined(place, (), frozenset())
        case _:
            return None
    return (name, found) if re.match("[A-Z].*[a-z]", name) else None


def _members(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("_"):
                    yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def _is_type(value: ast.expr) -> bool:
    return isinstance(value, (ast.Subscript, ast.BinOp)) or (
        isinstance(value, ast.Name) and value.id[0].isupper()
    )


def foreign_private(source: Source) -> list[str]:
    """Return where the code uses a name with an underscore that is a library's.

    That is a name which ddnsd itself defines nowhere, or, in a class with a library's class as its base, one
    that the base has.
    """
    own = NAMED_TUPLE | {name for tree in source.trees.values() for name in _own_names(tree)}
    found = []
    for path, tree in source.trees.items():
        imported = dict(_imported(tree))
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=value, attr=attr) if _is_private(attr) and attr not in own:
                    if (ast.unparse(value), attr) not in DOCUMENTED:
                        found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
                case ast.ImportFrom(module=str(module), names=names, level=0) if not module.startswith(
                    "ddnsd"
                ):
                    parts = (*module.split("."), *(alias.name for alias in names))
                    found += [f"{path}:{node.lineno} {module}.{part}" for part in parts if _is_private(part)]
                case ast.Import(names=names):
                    parts = tuple(part for alias in names for part in alias.name.split("."))
                    found += [f"{path}:{node.lineno} {part}" for part in parts if _is_private(part)]
                case ast.ClassDef(bases=bases):
                    theirs = {name for base in bases for name in _private_names(base, imported)}
                    found += [f"{path}:{line} {name}" for name, line in _touched(node) if name in theirs]
    return sorted(set(found))


def _imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what a module has from libraries: its name there, the library's module and its name in that."""
    for node in tree.body:
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0) if not module.startswith("ddnsd"):
                yield from ((alias.asname or alias.name, (module, alias.name)) for alias in names)
            case ast.Import(names=names):
                yield from ((alias.asname or alias.name, (alias.name, "")) for alias in names)


def _private_names(base: ast.expr, imported: Mapping[str, tuple[str, str]]) -> set[str]:
    """Return the names with an underscore in the source of a library's class and its bases."""
    first, _, rest = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).partition(".")
    if first not in imported:
        return set()
    module, name = imported[first]
    found: Any = importlib.import_module(module)
    for part in filter(None, (*name.split("."), *rest.split("."))):
        found = getattr(found, part, None)
    names: set[str] = set()
    for kind in inspect.getmro(found) if inspect.isclass(found) else ():
        with contextlib.suppress(OSError, TypeError):  # it is written in C
            names |= set(re.findall(r"\b_[a-z]\w*", inspect.getsource(kind)))
    return names


def _touched(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    for inner in ast.walk(node):
        match inner:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if _is_private(name):
                yield name, inner.lineno
            case ast.Attribute(attr=name, value=ast.Name(id="self")) if _is_private(name):
                yield name, inner.lineno


def _own_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def patched(source: Source) -> list[str]:
    """Return where tests patch what has an underscore: `setattr(thing, "_NAME", …)`, `patch.object`, `=`."""
    found = []
    for path, tree in source.trees.items():
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="setattr" | "object") | ast.Name(id="setattr"),
                    args=[_, ast.Constant(value=str(name)), *_],
                ) if _is_private(name):
                    found.append(f"{path}:{node.lineno} {name}")
                case ast.Call(args=[ast.Constant(value=str(dotted)), *_], func=function):
                    if ast.unparse(function).endswith(("patch", "setattr")) and "._" in dotted:
                        found.append(f"{path}:{node.lineno} {dotted}")
                case ast.Attribute(attr=name, ctx=ast.Store(), value=value):
                    if re.fullmatch("_[A-Z0-9_]+", name) and ast.unparse(value) not in ("self", "cls"):
                        found.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    return found


def excepted(tree: Path) -> Iterator[str]:
    """Yield the imports that the contracts of import-linter let pass."""
    with (tree / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        yield from contract.get("ignore_imports", ())


def sleeps(source: Source) -> int:
    """Count the calls of a `sleep`."""
    return sum(len(re.findall(r"\bsleep\(", text)) for text in source.texts.values())


class Entered(NamedTuple):
    """What one update enters, by name."""

    files: frozenset[str]
    functions: frozenset[str]
    types: frozenset[str]


async def updates(tree: Path = ROOT) -> Mapping[str, Entered]:
    """Return what a `changed` and an `unchanged` update enter, each on a connection that it opens and closes.

    The node is the real program of the tree with its defaults: embedded store and embedded nameserver.
    Changed ends when its record is published and all of it written.
    """
    with tempfile.TemporaryDirectory(prefix="ddnsd-") as folder:
        socket = Path(folder, "recorder")
        environ, log = environ_of(tree), {"format": "json", "level": "info"}
        ddnsd = Installation(Path(folder), environ=environ, log=log)
        ddnsd.program = (sys.executable, str(Path(__file__).with_name("entered.py")), str(socket))
        async with ddnsd:
            await ddnsd.apply(*example())
            addresses = [f"192.0.2.{number}" for number in range(RECORDINGS + 3)]
            warm, changes = addresses[:3], addresses[3:]
            for address in warm:  # what the first updates make is not made again
                await _recorded(socket, partial(_update, ddnsd, address, True))
            changed = [await _recorded(socket, partial(_update, ddnsd, address, True)) for address in changes]
            again = lambda: _update(ddnsd, changes[-1], False)  # noqa: E731
            unchanged = [await _recorded(socket, again) for _ in range(RECORDINGS + 1)][1:]
    return {"changed": _common(changed), "unchanged": _common(unchanged)}


def _common(recordings: Iterable[Entered]) -> Entered:
    return Entered(*(frozenset.intersection(*parts) for parts in zip(*recordings, strict=True)))


async def _recorded(socket: Path, act: Callable[[], Awaitable[None]]) -> Entered:
    reader, writer = await asyncio.open_unix_connection(socket, limit=2**24)
    await reader.readline()
    await act()
    writer.write_eof()
    found = json.loads(await reader.read())
    writer.close()
    return Entered(*(frozenset(found[name]) for name in Entered._fields))


async def _update(ddnsd: Installation, address: str, is_changed: bool) -> None:
    client = Client(ddnsd.addresses["public"])
    reply = await client.get(UPDATE, domain="blog.example.com", ip=address, token=ddnsd.secret)
    await client.close()
    assert reply.status == 200, reply.body
    assert (b'"updated":true' in reply.body) == is_changed, reply.body
    await asyncio.sleep(SETTLES if is_changed else CLOSES)


def measure(tree: Path = ROOT) -> dict[str, float]:
    """Return all figures that are held, of a checkout."""
    ours, tests = Source(tree / "ddnsd"), Source(tree / "tests")
    figures = shape(ours)
    figures["type names with two meanings"] = len(homonyms(ours))
    figures["private parts of libraries"] = len(foreign_private(ours))
    figures["patched private names in tests"] = len(patched(tests))
    figures["imports that break a contract"] = sum(1 for _ in excepted(tree))
    for kind, entered in asyncio.run(updates(tree)).items():
        for name, found in zip(Entered._fields, entered, strict=True):
            figures[f"{name}, {kind} update"] = len(found)
    return figures


def shown(tree: Path = ROOT) -> Iterator[tuple[str, str, str]]:
    """Yield name, figure and target of what nothing holds."""
    ours, tests = Source(tree / "ddnsd"), Source(tree / "tests")
    yield "modules", f"{len(ours.lines)}", "about 150"
    yield "lines", f"{ours.total:,}", f"≤ {LINES:,}"
    yield "lines that are comments", f"{100 * ours.comments() / ours.total:.1f} %", "more"
    yield "sleeps in tests", f"{sleeps(tests)}", "≤ 15"


def details(tree: Path = ROOT) -> Iterator[str]:
    """Yield where the figures come from: names, places, and what an update enters."""
    ours = Source(tree / "ddnsd")
    for name, several in sorted(homonyms(ours).items()):
        yield f"two meanings: {name}: {' '.join(found.place for found in several)}"
    yield from (f"private: {place}" for place in foreign_private(ours))
    yield from (f"breaks a contract: {one}" for one in excepted(tree))
    yield from (f"patched: {place}" for place in patched(Source(tree / "tests")))
    for path, lines in sorted(ours.lines.items(), key=lambda item: -item[1]):
        yield f"lines: {lines} {path}"
    for kind, entered in asyncio.run(updates(tree)).items():
        for name, found in zip(Entered._fields, entered, strict=True):
            yield from (f"{kind}: {name}: {one}" for one in sorted(found))


def table(tree: Path = ROOT) -> Table:
    drawn = Table(title=f"The house: {tree.name}", title_justify="left")
    drawn.add_column("figure")
    for heading in ("now", "held", "target", ""):
        drawn.add_column(heading, justify="right")
    figures = measure(tree)
    for name, bound in BOUNDS.items():
        figure = figures[name]
        missing = "met" if figure <= bound.target else f"{figure - bound.target:.4g} too many"
        drawn.add_row(name, f"{figure:.4g}", f"{bound.held:g}", f"≤ {bound.target:g}", missing)
    median = figures[MEDIAN_NAME]
    is_met = MEDIAN.least <= median <= MEDIAN.most
    target = f"{MEDIAN.least}–{MEDIAN.most}"
    drawn.add_row(MEDIAN_NAME, f"{median:g}", f"{MEDIAN.held:g}", target, "met" if is_met else "not met")
    for name, figure_shown, target in shown(tree):
        drawn.add_row(name, figure_shown, "", target, "shown")
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/house", description=__doc__)
    parser.add_argument("--details", action="store_true", help="by name and place")
    parser.add_argument("tree", nargs="?", type=Path, default=ROOT, help="another checkout")
    arguments = parser.parse_args()
    tree = arguments.tree.resolve()
    if arguments.details:
        print(*details(tree), sep="\n")
    else:
        Console().print(table(tree))


if __name__ == "__main__":
    main()
