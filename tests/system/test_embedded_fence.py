"""The fence at the embedded nameserver: its publisher's affair, unless the Zone says otherwise."""

from pathlib import Path

from tests.rigs.documents import document
from tests.system.installation import Installation, example
from tests.system.load import UPDATED
from tests.waiting import until

BLOG, FENCE = "blog.example.com", "_ddnsd.example.com"


async def test_strangers_see_the_fence_of_a_zone_that_shows_it(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
        assert await ddnsd.query(BLOG, "A") == ("192.0.2.1",)
        assert await ddnsd.query(FENCE, "TXT") == ()
        await ddnsd.apply(document("Zone", "example.com", fence="public"))

        async def shown() -> bool:
            return "installation=" in "".join(await ddnsd.query(FENCE, "TXT"))

        await until(shown, 5, "the fence is shown")
        assert (await ddnsd.update(BLOG, "192.0.2.2")).message == UPDATED
        await ddnsd.apply(document("Zone", "example.com"))
        assert await ddnsd.query(FENCE, "TXT") == ()
        refused = await ddnsd.admin("POST", "apply", [document("Zone", "example.com", fence="open")])
        assert (refused.status, "write hidden or public" in refused.body.decode()) == (422, True)
