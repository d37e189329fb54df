"""Makes the JSON Schema of config.yaml, for the chart's values: keys, types, bounds and words of the tree."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from typing import Any, Literal

from ddnsd.config.annotation import Bounds, Section
from ddnsd.config.schema import Shape, keys, listed, sections, shape
from ddnsd.config.tree import Settings

Schema = dict[str, Any]


def config_schema() -> Schema:
    """Return the schema; nothing is required in it, as the chart fills in what is missing."""
    return _section(Settings)


def _section(section: type[Section]) -> Schema:
    docs = _docs(section)
    properties = {
        key: _value(annotation) | ({"description": docs[key]} if key in docs else {})
        for key, annotation in keys(section).items()
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _docs(section: type[Section]) -> Mapping[str, str]:
    """Return what stands under each field of a section."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for node, following in itertools.pairwise(definition.body):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            text = inspect.cleandoc(ast.literal_eval(following.value))
            found[ast.unparse(node.target)] = text.replace("\n", " ")
    return found


def _value(annotation: Any) -> Schema:
    form = shape(annotation)
    if form.kind is Mapping:
        return {"type": "object", "additionalProperties": _value(form.parts[1])}
    if found := listed(form):
        return {"type": "array", "items": _section(next(iter(found.values())))}
    if form.kind is tuple:
        return {"type": ["array", "string"], "items": {"type": "string"}}
    if found := sections(form):
        return _section(next(iter(found.values()))) if len(found) == 1 else _variants(found)
    return _scalar(form)


def _variants(found: Mapping[str, type[Section]]) -> Schema:
    """Return the schema of one section out of several, told by the word in its key `kind`."""
    cases = [
        {"if": {"properties": {"kind": {"const": word}}}, "then": _section(section)}
        for word, section in found.items()
    ]
    kind = {"enum": list(found)}
    return {"type": "object", "required": ["kind"], "properties": {"kind": kind}, "allOf": cases}


def _scalar(form: Shape) -> Schema:
    if form.kind is Literal:
        return {"enum": list(form.parts)}
    if form.kind is bool:
        return {"type": "boolean"}
    if form.kind not in (int, float):
        return {"type": "string", "minLength": 1}
    number: Schema = {"type": "integer" if form.kind is int else "number"}
    bounds = form.note(Bounds)
    return number if bounds is None else number | {"minimum": bounds.least, "maximum": bounds.most}
