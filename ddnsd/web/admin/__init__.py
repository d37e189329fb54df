"""The admin API (docs/admin/reference.md): ordinary request handlers on a listener of their own."""

from ddnsd.web.admin.base import AdminScope, AdminTokens, Credential
from ddnsd.web.admin.handlers import make_admin_application

__all__ = ["AdminScope", "AdminTokens", "Credential", "make_admin_application"]
