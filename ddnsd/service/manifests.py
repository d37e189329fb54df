"""Files of documents: a YAML stream as plain JSON values, and back.

Scalars are those of YAML 1.1 as kubectl reads it, so that a file means the same on both ways in.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from ddnsd.config.loader import Dialect, KeyPath, YamlError, dotted, load_yaml

_RESOLVER: Any = yaml.resolver.Resolver()  # types-PyYAML has no types for `resolve`
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
# An instant stays text, as on Kubernetes; so does all else that JSON has no word for.
_READERS: Mapping[str, Callable[[yaml.ScalarNode], object]] = {
    "tag:yaml.org,2002:null": _CONSTRUCTOR.construct_yaml_null,
    "tag:yaml.org,2002:bool": _CONSTRUCTOR.construct_yaml_bool,
    "tag:yaml.org,2002:int": _CONSTRUCTOR.construct_yaml_int,
    "tag:yaml.org,2002:float": _CONSTRUCTOR.construct_yaml_float,
}
_MAX_NUMBER = 2**63  # what JSON carries everywhere; a longer row of digits stays text
_MOST = 20  # mistakes that are named


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True


# What PyYAML leaves unquoted, but Go's YAML (kubectl) takes for a truth value or a number.
_Dumper.add_implicit_resolver("!go-bool", re.compile(r"[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "!go-number",
    re.compile(r"[-+]?(\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0[oO][0-7_]+)$"),
    list("-+.0123456789"),
)


def read_manifest(text: str | bytes) -> list[Any]:
    """Return the documents of a YAML (or JSON) stream as plain JSON values; empty ones are left out.

    Raises:
        YamlError: not YAML, or what is nearly always a mistake: a key written twice, aliases.
    """
    wrong: list[str] = []

    def report(path: KeyPath, _: str, remedy: str) -> None:
        wrong.append(": ".join(filter(None, (dotted(path), remedy))))

    documents = load_yaml(text, Dialect(_plain), report)
    if wrong:
        raise YamlError("; ".join(wrong[:_MOST]))
    return flatten(document for document in documents if document is not None)


def _plain(text: str) -> object:
    """Return what an unquoted scalar means in YAML 1.1."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    reader = _READERS.get(tag)
    value = reader(yaml.ScalarNode(tag, text)) if reader else text
    return value if not isinstance(value, int | float) or abs(value) < _MAX_NUMBER else text


def flatten(documents: Iterable[Any]) -> list[Any]:
    """Return the documents with every List replaced by its items."""
    flat: list[Any] = []
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list) and str(document.get("kind")).endswith("List"):
            flat += flatten(items)
        else:
            flat.append(document)
    return flat


def write_manifest(documents: list[Any]) -> str:
    """Return the documents as a YAML stream; texts that YAML 1.1 would misread are quoted.

    Where a text has characters that do not show (`telemetry.printable`), all that is not ASCII is escaped.
    """
    text = _dumped(documents, allow_unicode=True)
    return text if all(map(str.isprintable, text.split("\n"))) else _dumped(documents, allow_unicode=False)


def _dumped(documents: list[Any], *, allow_unicode: bool) -> str:
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": allow_unicode, "width": 1000}
    text: str = yaml.dump_all(documents, Dumper=_Dumper, **options)
    return text
