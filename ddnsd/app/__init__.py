"""Wires the parts into one node, supervises its tasks, drains it."""

from ddnsd.app.role import Role
from ddnsd.app.serve import serve

__all__ = ["Role", "serve"]
