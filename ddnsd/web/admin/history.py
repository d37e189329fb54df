"""`GET /api/v1/history`: who changed what, and which attempts were refused."""

from ddnsd.service.limits import concerning, newest
from ddnsd.service.status import host_name, resource_changes
from ddnsd.web.admin.base import AdminHandler, Answer, Operation, Route, operation
from ddnsd.web.admin.shapes import HistoryList, ListMetadata, RefusedList

_PAGE, _MAX_PAGE = 500, 1000  # items
_QUERY = {
    "of": "a host's name, or an account's for all of its hosts; absent: all",
    "refused": "true: the attempts that the answering node has refused lately",
    "limit": "items on the page",
    "continue": "of the last page",
}


class HistoryHandler(AdminHandler):
    """The history."""

    @operation(Operation("History", query=_QUERY))
    async def get(self) -> Answer:
        """List changes of hosts' records, with those of a host's document, or refused attempts.

        The newest first.
        """
        who, limit = self.get_query_argument("of", ""), self.number("limit", _PAGE, _MAX_PAGE)
        if self.flag("refused"):
            attempts = concerning(self.registry.state, who, await self.services.refused())
            return Answer(RefusedList(ListMetadata(""), tuple(newest(attempts, limit))))
        host = host_name(who)
        audit = await self.services.audit.of_host(host) if host else []
        cursor = self.get_query_argument("continue", "")
        page = await self.registry.history(who, limit, cursor, audit=resource_changes(host, audit))
        return Answer(HistoryList(ListMetadata(page.cursor), page.items))


ROUTES = (Route("/api/v1/history", HistoryHandler),)
