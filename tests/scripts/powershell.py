"""What a PowerShell script says, read from its syntax tree: there is no PowerShell here to run it."""

from collections.abc import Iterator
from pathlib import Path

import tree_sitter
import tree_sitter_powershell

_LANGUAGE = tree_sitter.Language(tree_sitter_powershell.language())
_SCOPES = ("script", "global", "env")
# Set by PowerShell itself (about_Automatic_Variables), as far as the scripts may need them.
_AUTOMATIC = {
    *("_", "true", "false", "null", "matches", "psboundparameters", "psversiontable", "psscriptroot"),
    *("executioncontext", "erroractionpreference", "lastexitcode"),
}


class Source:
    """A script; names are in lower case, as PowerShell does not tell case apart."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self.root = tree_sitter.Parser(_LANGUAGE).parse(text).root_node

    def mistakes(self) -> list[str]:
        """Where the grammar does not fit, or Windows PowerShell 5.1 would not take it (`&&`, `||`)."""
        return [
            f"line {node.start_point.row + 1}: {node.text!r}"
            for node in _nodes(self.root)
            if node.type in ("ERROR", "pipeline_chain_tail") or node.is_missing
        ]

    def functions(self) -> set[str]:
        """The functions that it defines."""
        return {name.lower() for node in _nodes(self.root, "function_name") for name in [_text(node)]}

    def commands(self) -> set[str]:
        """The commands that it runs, its own functions among them; without what a variable holds."""
        return {_text(node).lower() for node in _nodes(self.root, "command_name")}

    def types(self) -> set[str]:
        """The .NET types that it names."""
        return {_text(node).strip("[]") for node in _nodes(self.root, "type_literal")}

    def unknown_variables(self) -> list[str]:
        """Variables that are read where nothing has set them, which StrictMode makes an error."""
        common = _assigned(self.root, within_functions=False)
        unknown = []
        for scope in [self.root, *_nodes(self.root, "function_statement")]:
            known = common | _AUTOMATIC | _assigned(scope, within_functions=scope is not self.root)
            for node in _own(scope):
                if node.type == "variable" and _name(node) not in known and _scope(node) != "env":
                    unknown.append(f"line {node.start_point.row + 1}: {_text(node)}")
        return unknown

    def mistaken_scopes(self) -> list[str]:
        """Variables such as `$name:` in a text, where `${name}:` is meant, or of a scope that is none."""
        variables = list(_nodes(self.root, "variable"))
        mistaken = [node for node in variables if _scope(node) not in ("", *_SCOPES)]
        mistaken += [node for node in variables if self._text[node.end_byte :][:1] == b":"]
        return [_text(node) for node in mistaken if not _text(node).startswith("${")]


def read(path: Path) -> Source:
    return Source(path.read_bytes())


def _nodes(node: tree_sitter.Node, kind: str = "") -> Iterator[tree_sitter.Node]:
    if not kind or node.type == kind:
        yield node
    for child in node.children:
        yield from _nodes(child, kind)


def _own(scope: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """What is in a function, or in the script outside of its functions."""
    for child in scope.children:
        if child.type != "function_statement":
            yield child
            yield from _own(child)


def _assigned(scope: tree_sitter.Node, *, within_functions: bool) -> set[str]:
    names = set()
    for node in _nodes(scope) if within_functions else _own(scope):
        if node.type in ("foreach_statement", "script_parameter"):
            names.add(_name(next(each for each in node.children if each.type == "variable")))
        elif node.type == "left_assignment_expression" and _text(node).startswith("$"):
            names.add(_name(node))  # of an element or a field it is no name that anything has
    return names


def _text(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


def _scope(node: tree_sitter.Node) -> str:
    scope, colon, _ = _text(node).strip("${}").lower().partition(":")
    return scope if colon else ""


def _name(node: tree_sitter.Node) -> str:
    return _text(node).strip("${}").lower().rpartition(":")[2]
