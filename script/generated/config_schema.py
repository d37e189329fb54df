"""Makes the JSON Schema of config.yaml, for the chart's values: keys, types, bounds and words of the tree."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Any

import msgspec

from ddnsd.config.reader import Shape, fields, shape
from ddnsd.config.settings import Settings

Schema = dict[str, Any]


def config_schema() -> Schema:
    """Return the schema; nothing is required in it, as the chart fills in what is missing."""
    return _section(Settings)


def _section(section: type[msgspec.Struct]) -> Schema:
    docs = _docs(section)
    properties = {
        key: _value(shape(field.type)) | ({"description": docs[key]} if key in docs else {})
        for key, field in fields(section).items()
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _docs(section: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return what stands under each field of a section."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for node, following in itertools.pairwise(definition.body):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            text = inspect.cleandoc(ast.literal_eval(following.value))
            found[ast.unparse(node.target)] = text.replace("\n", " ")
    return found


def _value(form: Shape) -> Schema:
    if form.kind is Mapping and form.item:
        return {"type": "object", "additionalProperties": _value(form.item)}
    if form.item and form.item.structs:
        return {"type": "array", "items": _value(form.item)}
    if form.kind is tuple:
        return {"type": ["array", "string"], "items": {"type": "string"}}
    if found := form.structs:
        return _section(next(iter(found.values()))) if len(found) == 1 else _variants(found)
    return _scalar(form)


def _variants(found: Mapping[str, type[msgspec.Struct]]) -> Schema:
    """Return the schema of one section out of several, told by the word in its key `kind`."""
    cases = [
        {"if": {"properties": {"kind": {"const": word}}}, "then": _section(section)}
        for word, section in found.items()
    ]
    kind = {"enum": list(found)}
    return {"type": "object", "required": ["kind"], "properties": {"kind": kind}, "allOf": cases}


def _scalar(form: Shape) -> Schema:
    if form.words:
        return {"enum": list(form.words)}
    if form.kind is bool:
        return {"type": "boolean"}
    if form.kind not in (int, float):
        return {"type": "string", "minLength": 1}
    number: Schema = {"type": "integer" if form.kind is int else "number"}
    return number | {"minimum": form.least, "maximum": form.most}
