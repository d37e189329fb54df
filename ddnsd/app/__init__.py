"""Wires the parts into one node, supervises its tasks, drains it."""

from .serve import serve

__all__ = ["serve"]
