"""What pages of other sites can do by a browser, and what no answer of any listener is without."""

from base64 import b64encode
from pathlib import Path

from tests.system.http import Client
from tests.system.installation import SECRET, Installation, example

BLOG = "blog.example.com"
CALL = f"/nic/update?hostname={BLOG}&myip=192.0.2.66"
BASIC = {"Authorization": "Basic " + b64encode(f"alice:{SECRET}".encode()).decode()}
PUBLIC = ("/api/ddns/update", "/nic/update", "/update", "/api/ddns/ip", "/checkip", "/healthz", "/x")
ADMIN = ("status", "hosts", f"hosts/{BLOG}", "hosts/none", "x")


async def test_an_image_on_another_site_changes_nothing(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        for cross in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            reply = await ddnsd.public.send("GET", CALL, BASIC | cross)
            assert (reply.status, reply.body) == (403, b"badauth")
            assert "www-authenticate" not in reply.headers
        assert "A" not in (await ddnsd.admin("GET", f"hosts/{BLOG}")).json.get("status", {})
        knows = f"{CALL}&password={SECRET}"  # the page knows the token
        assert (
            await ddnsd.public.send("GET", knows, {"Sec-Fetch-Site": "cross-site"})
        ).body == b"good 192.0.2.66"
        assert (await ddnsd.public.send("GET", CALL, BASIC)).body == b"nochg 192.0.2.66"


async def test_no_answer_is_kept_or_guessed_at_or_says_what_serves_it(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        stranger = Client(ddnsd.addresses["admin"])
        replies = [
            *[await ddnsd.public.send(method, path) for path in PUBLIC for method in ("GET", "POST")],
            await ddnsd.public.send("POST", "/update", body=bytes(100_000)),
            *[await ddnsd.health.get(path) for path in ("/healthz", "/readyz", "/metrics", "/x")],
            *[await ddnsd.admin("GET", path) for path in ADMIN],
            await stranger.get("/api/v1/status"),
        ]
        await stranger.close()
    assert {200, 400, 401, 404, 405, 413} <= {reply.status for reply in replies}
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers
