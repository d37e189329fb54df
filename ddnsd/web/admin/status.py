"""`GET /api/v1/status`."""

from .base import AdminHandler
from .operations import Answer, Operation, Route, operation


class StatusHandler(AdminHandler):
    """Shows how the installation is doing."""

    @operation(Operation("Status"))
    async def get(self) -> Answer:
        """Show this node's view of the installation."""
        return Answer(self.services.status())


ROUTES = (Route("/api/v1/status", StatusHandler),)
