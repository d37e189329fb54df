"""What a test knows of a value, for mypy too: it fails where that is wrong."""

from typing import TypeVar

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """Return the value; it is not None."""
    assert value is not None
    return value


def only(kind: type[Value], value: object) -> Value:
    """Return the value; it is of the kind."""
    assert isinstance(value, kind), value
    return value
