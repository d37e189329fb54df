"""The admin API (docs/admin-api.md): ordinary request handlers on a listener of their own."""

from .application import make_admin_application
from .token import AdminToken

__all__ = ["AdminToken", "make_admin_application"]
