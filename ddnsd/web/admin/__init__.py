"""The admin API (docs/admin/reference.md): ordinary request handlers on a listener of their own."""

from ddnsd.web.admin.application import make_admin_application
from ddnsd.web.admin.base import AdminScope, AdminTokens, Credential

__all__ = ["AdminScope", "AdminTokens", "Credential", "make_admin_application"]
