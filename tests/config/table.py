"""The settings as docs/configuration.md shows them, made from the code: what the docs are tested against."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ddnsd.config.environment import variable
from ddnsd.config.reader import Shape, default, fields, shape
from ddnsd.config.settings import Settings


class Setting(NamedTuple):
    path: tuple[str, ...]
    section: type[msgspec.Struct]
    shape: Shape

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def default(self) -> str:
        """The default as an operator writes it; "" for none, "required" where it must be written."""
        value = default(fields(self.section)[self.path[-1]])
        if value is msgspec.NODEFAULT:
            return "required"
        values = value if isinstance(value, tuple) and not hasattr(value, "_fields") else (value,)
        return ", ".join(_text(one) for one in values)

    @property
    def row(self) -> str:
        cells = (
            _code(self.key),
            _code(self.default),
            self.shape.note.unit,
            _allowed(self.shape),
            _code(_variable(self)),
            "restart" if self.shape.note.restart else "",
            self.meaning,
        )
        return "| " + " | ".join(cells) + " |"

    @property
    def meaning(self) -> str:
        return field_docs(self.section)[self.path[-1]].replace("\n", " ")


def settings(section: type[msgspec.Struct] = Settings, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield every single setting of the tree, those of both kinds of nameservers under `<name>`."""
    for key, field in fields(section).items():
        form = shape(field.type)
        here = (*path, "nameservers", "<name>") if form.kind is Mapping else (*path, key)
        below = form.item if form.item and form.kind is Mapping else form
        for inner in below.structs.values():
            yield from settings(inner, here)
        if not below.structs:
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
    if form.words:
        return ", ".join(f"`{word}`" for word in form.words)
    return f"{form.least:g} to {form.most:.10g}" if form.kind in (int, float) else ""


def _variable(setting: Setting) -> str:
    item = setting.shape.item
    return "" if item and item.structs else variable(setting.path)
