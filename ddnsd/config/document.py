"""config.yaml's text as plain values: a small, strict part of YAML 1.2.

Scalars follow the core schema of YAML 1.2 (§10.3.2), so `on` and `12:30` are texts and `010` is not 8.
"""

import re

from ddnsd.config.loader import Dialect, YamlError, load_yaml
from ddnsd.config.mistakes import Mistake

Raw = dict[str, "Raw"] | list["Raw"] | str | int | float | None

MAX_BYTES = 1_048_576
_NULL = re.compile(r"|~|null|Null|NULL")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,3})?")


def parse_document(content: bytes, mistakes: list[Mistake]) -> Raw:
    """Return the document's plain values; what is wrong below the syntax is added to `mistakes`.

    Raises:
        YamlError: not YAML, or too large.
    """
    if len(content) > MAX_BYTES:
        raise YamlError(f"larger than {MAX_BYTES} bytes")
    dialect = Dialect(plain_value, strict=True)
    documents = load_yaml(content, dialect, lambda *wrong: mistakes.append(Mistake(*wrong)))
    return documents[0] if documents else None


def plain_value(text: str) -> str | int | float | None:
    """Return what an unquoted scalar means in YAML 1.2's core schema (there are no truth values here)."""
    if _NULL.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
