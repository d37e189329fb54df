"""What a checkout calls the things that others rely on: metrics, events, settings, messages, commands, paths.

`script/data-before DIR` keeps those of the commit before in kept/names.json; `test_names.py` looks for each.
"""

import ast
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rigs.former import environ_of
from tests.system.installation import Installation, example

NAMES = Path(__file__).parent / "kept" / "names.json"
ROOT = Path(__file__).parents[2]
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)+")
_CHINESE = re.compile("[\u4e00-\u9fff]")
_COMMANDS = """
import click, ddnsd.cli
def walk(command, path):
    for parameter in command.params:
        for name in (*parameter.opts, *parameter.secondary_opts):
            print(*path, name)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            walk(command.get_command(context, name), (*path, name))
    else:
        print(*path)
walk(ddnsd.cli.main, ("ddnsd",))
"""


def names(tree: Path = ROOT) -> dict[str, list[str]]:
    """Return the names of a checkout, by kind."""
    trees = _trees(tree)
    environ = environ_of(tree)
    found = {
        "metrics in the source": (text for text in _texts(trees) if re.fullmatch("ddnsd_[a-z0-9_]+", text)),
        "log events": (event for module in trees for event in _events(module)),
        "settings": _settings((tree / "docs" / "configuration.md").read_text()),
        "Chinese messages": (text for text in _texts(trees) if _CHINESE.search(text)),
        "enumerated words": (word for module in trees for word in _enumerated(module)),
        "commands": _commands(environ),
    }
    return {kind: sorted(set(several)) for kind, several in found.items()} | asyncio.run(_running(environ))


def texts(tree: Path = ROOT) -> set[str]:
    """Return all strings in the source of a checkout but docstrings."""
    return set(_texts(_trees(tree)))


def _trees(tree: Path) -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted((tree / "ddnsd").rglob("*.py"))]


def _texts(trees: list[ast.Module]) -> Iterator[str]:
    for tree in trees:
        described = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in described:
                yield node.value


def _events(tree: ast.Module) -> Iterator[str]:
    """Yield the first arguments of all calls of a logger; of one with a level before, the second."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=level), args=arguments):
                if level in _LEVELS and "log" in name:
                    texts = [inner for argument in arguments for inner in ast.walk(argument)]
                    for inner in texts:
                        if isinstance(inner, ast.Constant) and _EVENT.fullmatch(str(inner.value)):
                            yield str(inner.value)


def _settings(text: str) -> Iterator[str]:
    """Yield key, default, unit, allowed values, variable and when it takes effect, without the meaning."""
    for line in text.splitlines():
        if re.match(r"\| `[a-z_.<>]+` \|", line):
            yield " | ".join(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:7])


def _enumerated(tree: ast.Module) -> Iterator[str]:
    """Yield the values of all StrEnum: they are stored, sent or shown."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(bases=[ast.Name(id="StrEnum")], body=body):
                for line in body:
                    match line:
                        case ast.Assign(value=ast.Constant(value=str(word))):
                            yield word


def _commands(environ: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-c", _COMMANDS]
    done = subprocess.run(command, env=dict(environ), check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


async def _running(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what a running node names: metrics with their labels, paths of the admin API with parameters."""
    with tempfile.TemporaryDirectory(prefix="ddnsd-") as folder:
        async with Installation(Path(folder), environ=environ, log={"format": "json"}) as ddnsd:
            await ddnsd.apply(*example())
            for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
                assert (await ddnsd.update("blog.example.com", address)).status == 200
            metrics = (await ddnsd.health.get("/metrics")).body.decode()
            openapi = (await ddnsd.admin("GET", "openapi.json")).json
    return {
        "metrics of a node": sorted(set(_metrics(metrics))),
        "operations of the admin API": sorted(_operations(openapi)),
    }


def _metrics(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("# TYPE ddnsd_"):
            yield line.removeprefix("# TYPE ")
        elif line.startswith("ddnsd_"):
            yield re.sub('="[^"]*"', "", line.rpartition(" ")[0])


def _operations(openapi: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            parameters = sorted(each["name"] for each in operation.get("parameters", []) if "name" in each)
            yield f"{method.upper()} {path} {','.join(parameters)} {','.join(sorted(operation['responses']))}"
