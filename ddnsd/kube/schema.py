"""JSON Schema of a type, as Kubernetes wants it: structural, without references and null.

"Structural" is Kubernetes' word: each level has its type, and nothing is said by composition alone
(kubernetes.io, "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural schema").
"""

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]
_REFERENCE = "#/{name}"


def structural(type: Any) -> Schema:
    """Return the schema of a type's JSON form; an optional value is an absent one, never null."""
    schema, components = msgspec.json.schema_components((type,), ref_template=_REFERENCE)
    return _structural(schema[0], components)


def without_defaults(schema: Schema) -> Schema:
    """Return the schema of what is only ever written whole, as a status is: it needs no defaults."""
    made = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in made:
        made["properties"] = {name: without_defaults(value) for name, value in made["properties"].items()}
    if "items" in made:
        made["items"] = without_defaults(made["items"])
    return made


def _structural(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        return _structural(components[schema["$ref"].removeprefix("#/")], components)
    if "anyOf" in schema:
        return _structural(_present(schema), components)
    made = {key: value for key, value in schema.items() if key not in ("title", "required", "properties")}
    if "enum" in made:
        made.setdefault("type", "string")
    if "items" in made:
        made["items"] = _structural(made["items"], components)
    properties = schema.get("properties", {})
    if properties:
        made["properties"] = {name: _property(value, components) for name, value in properties.items()}
    if required := [name for name in schema.get("required", ()) if "anyOf" not in properties[name]]:
        made["required"] = required
    return made


def _property(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Schema:
    made = _structural(schema, components)
    default = schema.get("default")
    if default is not None:
        made["default"] = list(default) if isinstance(default, tuple) else default
    return made


def _present(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an optional value is where there is one."""
    present: Mapping[str, Any]
    (present,) = (option for option in schema["anyOf"] if option != {"type": "null"})
    return present
