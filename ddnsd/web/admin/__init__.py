"""The admin API (docs/admin/reference.md): ordinary request handlers on a listener of their own."""

from ddnsd.web.admin.base import AdminCredential, AdminScope, AdminServices, AdminTokens
from ddnsd.web.admin.handlers import make_admin_application

__all__ = ["AdminCredential", "AdminScope", "AdminServices", "AdminTokens", "make_admin_application"]
