"""Wires the parts into one node, supervises its tasks, drains it."""

from .node import serve

__all__ = ["serve"]
