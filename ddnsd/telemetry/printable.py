"""Text of others, made fit for a terminal or a line of a log.

A terminal obeys what no reader sees: ESC and the C1 controls (ECMA-48 §5.3; `\\x9b` alone is CSI) move the
cursor, change colours or titles; U+2028, NEL and the like end a line for some programs; bidirectional
controls turn text around. A client that names a host or sends a header could forge lines with them. They are
shown as escapes.
"""

import json
import re
from collections.abc import MutableMapping
from typing import Any

_MULTILINE = ("exception", "stack")  # fields of an event that are texts of several lines
_INDENT = "  "  # of their lines, so that none can pass for an event of its own


def printable(text: str) -> str:
    """Return the text on one line, with what does not show as an escape: `\\x1b`, `\\u2028`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each indented and printable; tabs stay."""
    return "\n".join(_INDENT + "\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def printable_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make a structlog event fit for a console; values of other types are shown by their repr, which is."""
    return {name: _shown(name, value) if isinstance(value, str) else value for name, value in event.items()}


def printable_json(text: str) -> str:
    """Return JSON of the same meaning in which everything shows; JSON itself escapes no more than U+001F."""
    return text if text.isprintable() else _HIDDEN.sub(_json_escape, text)


# What may be unprintable; each hit is looked at. ASCII, and so nearly everything, is not searched further.
_HIDDEN = re.compile(r"[^\x20-\x7e]")


def _json_escape(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _shown(name: str, value: str) -> str:
    return printable_lines(value) if name in _MULTILINE else printable(value)
