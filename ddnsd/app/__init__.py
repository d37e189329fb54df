"""Wires the parts into one node, supervises its tasks, drains it."""

from .role import Role
from .serve import serve

__all__ = ["Role", "serve"]
