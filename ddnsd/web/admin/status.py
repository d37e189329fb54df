"""`GET /api/v1/status`."""

from ddnsd.web.admin.base import AdminHandler, Answer, Operation, Route, operation


class StatusHandler(AdminHandler):
    """Shows how the installation is doing."""

    @operation(Operation("Status"))
    async def get(self) -> Answer:
        """Show the installation, as this node knows it."""
        return Answer(await self.services.status())


ROUTES = (Route("/api/v1/status", StatusHandler),)
