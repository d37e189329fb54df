"""`/api/v1/sources`: the Kubernetes clusters on this store, and what an operator decides about them."""

from ddnsd.service.archive import Counts
from ddnsd.web.admin.base import AdminHandler, Answer, Operation, Route, operation
from ddnsd.web.admin.shapes import PrunedAnswer, ReleasedAnswer, TakenOverAnswer


class SourcesHandler(AdminHandler):
    """All sources."""

    @operation(Operation("Sources"))
    async def get(self) -> Answer:
        """List the sources: who has the name, what controls it, what waits for an operator."""
        return Answer(list((await self.registry.sources.list()).values()))


class TakeoverHandler(AdminHandler):
    """Gives a name to who has asked for it."""

    way = "takeover"

    @operation(Operation("TakenOverAnswer"))
    async def post(self, name: str) -> Answer:
        """Bind the name to the Namespace that has asked for it; whoever had it changes nothing any more."""
        bound = await self.registry.sources.takeover(name)
        return Answer(TakenOverAnswer(name, bound.uid))


class ReleaseHandler(AdminHandler):
    """Frees a name."""

    way = "release"

    @operation(Operation("ReleasedAnswer"))
    async def post(self, name: str) -> Answer:
        """Free the name; what was written under it stays, until somebody else writes or deletes it."""
        released = await self.registry.sources.release(name)
        left = (await self.registry.sources.list()).get(name)
        return Answer(ReleasedAnswer(name, released.uid, left.resources if left else Counts()))


class PruneHandler(AdminHandler):
    """Allows held deletions."""

    way = "prune"

    @operation(Operation("PrunedAnswer"))
    async def post(self, name: str) -> Answer:
        """Allow the deletions that the source's controller holds now; it does them soon."""
        return Answer(PrunedAnswer(name, await self.registry.sources.prune(name)))


ROUTES = (
    Route("/api/v1/sources", SourcesHandler),
    Route("/api/v1/sources/{name}/takeover", TakeoverHandler),
    Route("/api/v1/sources/{name}/release", ReleaseHandler),
    Route("/api/v1/sources/{name}/prune", PruneHandler),
)
