"""The admin API (docs/admin-api.md): ordinary request handlers on a listener of their own."""

from .application import make_admin_application
from .token import AdminScope, AdminTokens, Credential

__all__ = ["AdminScope", "AdminTokens", "Credential", "make_admin_application"]
