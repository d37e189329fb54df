"""`GET /api/v1/audit`: who changed which resources."""

from ddnsd.web.admin.base import AdminHandler, Answer, Operation, Route, operation
from ddnsd.web.admin.shapes import AuditList, ListMetadata

_PAGE, _MAX_PAGE = 100, 1000  # items
_QUERY = {"limit": "items on the page", "continue": "of the last page"}


class AuditHandler(AdminHandler):
    """The audit."""

    @operation(Operation("AuditList", query=_QUERY))
    async def get(self) -> Answer:
        """List changes of resources, one item for each commit and one for each import; the newest first."""
        limit = self.number("limit", _PAGE, _MAX_PAGE)
        page = await self.services.audit.page(limit, self.get_query_argument("continue", ""))
        return Answer(AuditList(ListMetadata(page.cursor), page.items))


ROUTES = (Route("/api/v1/audit", AuditHandler),)
