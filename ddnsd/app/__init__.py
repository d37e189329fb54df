"""Wires the parts into one node, supervises its tasks, drains it."""

from ddnsd.app.bootstrap import Role
from ddnsd.app.serve import serve

__all__ = ["Role", "serve"]
