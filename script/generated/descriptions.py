"""Puts what values.yaml says of each value into the schema of the chart's values, for editors."""

import re
from typing import Any

from generated.values_table import commented

Schema = dict[str, Any]


def described(schema: Schema, values: str) -> Schema:
    """Return the schema with the comments of values.yaml as descriptions, in place of what it had.

    Of a group that is used twice, as that of a Service, the first one's are taken.
    """
    made: Schema = _bare(schema)
    for path, comment in commented(values):
        _describe(made, path, re.sub(r"\s+", " ", comment))
    return made


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _bare(each) for key, each in node.items() if key != "description" or not isinstance(each, str)
    }


def _describe(schema: Schema, path: tuple[str, ...], comment: str) -> None:
    node = schema
    for key in path:
        node = _resolved(schema, node).get("properties", {}).get(key)
        if node is None:  # inside of what the schema leaves open
            return
    node.setdefault("description", comment)


def _resolved(schema: Schema, node: Schema) -> Schema:
    if "$ref" not in node:
        return node
    found: Schema = schema["definitions"][node["$ref"].rpartition("/")[2]]
    return found
