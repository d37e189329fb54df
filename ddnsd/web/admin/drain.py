"""`POST /api/v1/drain`: the node is to be stopped soon, and wants no more traffic."""

import time

import msgspec

from ddnsd.web.admin.base import AdminHandler, Answer, FailedError, Operation, Route, operation
from ddnsd.web.admin.shapes import Drain, DrainedAnswer, Failure


class DrainHandler(AdminHandler):
    """Makes the node retire."""

    @operation(Operation("DrainedAnswer", "Drain"))
    async def post(self) -> Answer:
        """Make the node unready, serve on, and answer when the delay is over or the node is stopped."""
        delay, begun = self._delay(), time.monotonic()
        await self.services.retire(delay)
        return Answer(DrainedAnswer(round(time.monotonic() - begun, 1)))

    def _delay(self) -> float:
        try:
            return msgspec.convert(self.json_body(), Drain).delay
        except msgspec.ValidationError as error:
            raise FailedError(422, Failure(f"{error}: the delay is 0 to 3600 seconds")) from error


ROUTES = (Route("/api/v1/drain", DrainHandler),)
