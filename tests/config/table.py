"""The settings as docs/configuration.md shows them, made from the code: what the docs are tested against."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from typing import Any, Literal, NamedTuple

from ddnsd.config.annotation import Bounds, Restart, Section, Unit
from ddnsd.config.environment import variable
from ddnsd.config.schema import Shape, default, keys, listed, sections, shape
from ddnsd.config.tree import Settings


class Setting(NamedTuple):
    path: tuple[str, ...]
    section: type[Section]
    shape: Shape

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def default(self) -> str:
        """The default as an operator writes it; "" for none, "required" where it must be written."""
        value = default(self.section, self.path[-1])
        if value is MISSING:
            return "required"
        values = value if isinstance(value, tuple) and not hasattr(value, "_fields") else (value,)
        return ", ".join(_text(one) for one in values)

    @property
    def row(self) -> str:
        unit = self.shape.note(Unit) or ""
        cells = (
            _code(self.key),
            _code(self.default),
            unit,
            _allowed(self.shape),
            _code(_variable(self)),
            "restart" if self.shape.note(Restart) else "",
            self.meaning,
        )
        return "| " + " | ".join(cells) + " |"

    @property
    def meaning(self) -> str:
        return field_docs(self.section)[self.path[-1]].replace("\n", " ")


def settings(section: type[Section] = Settings, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield every single setting of the tree, those of both kinds of nameservers under `<name>`."""
    for key, annotation in keys(section).items():
        form = shape(annotation)
        here = (*path, "nameservers", "<name>") if form.kind is Mapping else (*path, key)
        below = shape(form.parts[1]) if form.kind is Mapping else form
        for inner in sections(below).values():
            yield from settings(inner, here)
        if not sections(below):
            yield Setting(here, section, form)


def field_docs(section: type[Any]) -> dict[str, str]:
    """Return the docstring that stands under each field."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for node, following in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            found[ast.unparse(node.target)] = inspect.cleandoc(ast.literal_eval(following.value))
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text not in ("", "required") else text


def _allowed(form: Shape) -> str:
    if form.kind is Literal:
        return ", ".join(f"`{word}`" for word in form.parts)
    bounds = form.note(Bounds)
    if bounds is None or form.kind is tuple:
        return ""
    return f"{bounds.least:g} to {bounds.most:.10g}"


def _variable(setting: Setting) -> str:
    return "" if listed(setting.shape) else variable(setting.path)
