"""ddnsd: dynamic DNS that scales out. The layers are described in docs/architecture.md."""

__version__ = "0.1.0"
