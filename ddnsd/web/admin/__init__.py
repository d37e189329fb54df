"""The admin API (docs/admin-api.md): ordinary request handlers on a listener of their own."""

from .application import make_admin_application

__all__ = ["make_admin_application"]
