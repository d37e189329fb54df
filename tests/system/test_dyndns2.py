"""dyndns2 over real HTTP: the words, the statuses, what the nameserver has, what the log has not."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.http import Reply
from tests.system.installation import SECRET, Installation, example
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOG, NAS, V4 = "blog.example.com", "nas.example.com", "v4.example.com"
FOUR, SIX = "192.0.2.7", "2001:db8::7"
TEXT = "text/plain; charset=utf-8"
UNKNOWN = "an-unknown-token-0123456789"


def secret(name: str) -> str:
    return f"{name}-secret-0123456789"


def token(name: str, account: str, **spec: object) -> dict[str, Any]:
    return document("Token", name, account=account, sha256=digest(secret(name)), **spec)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ddnsd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with Installation(tmp_path_factory.mktemp("dyndns2")) as installation:
        many = [f"h{number}.example.com" for number in range(20)]
        await installation.apply(
            *example([BLOG, NAS, *many]),
            document("Host", V4, account="alice", families=["A"]),
            document("Host", "off.example.com", account="alice", enabled=False),
            document("Zone", "off.example.net", enabled=False),
            document("Host", "h.off.example.net", account="alice"),
            document("Account", "suspended", status="suspended"),
            document("Account", "banned", status="banned"),
            document("Host", "router.example.com", account="prefixed"),
            document("Host", "one.example.com", account="prefixed", ipv6Suffix="::1", ipv6Subnet="a"),
            document("Host", "two.example.com", account="prefixed", ipv6Suffix="::2"),
            document("Account", "prefixed"),
            token("suspended", "suspended"),
            token("banned", "banned"),
            token("prefixed", "prefixed"),
        )
        yield installation


def basic(password: str = SECRET, user: str = "alice") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


async def call(ddnsd: Installation, query: str, password: str = SECRET, path: str = "/nic/update") -> Reply:
    reply = await ddnsd.public.send("GET", f"{path}?{query}", basic(password))
    assert reply.headers["content-type"] == TEXT
    return reply


async def said(ddnsd: Installation, query: str, password: str = SECRET) -> tuple[int, str]:
    reply = await call(ddnsd, query, password)
    return reply.status, reply.body.decode()


ROWS = [
    # status, body, query, password
    (401, "badauth", f"hostname={BLOG}&myip={FOUR}", UNKNOWN),
    (401, "badauth", f"hostname={BLOG},{NAS}&myip={FOUR}", UNKNOWN),
    (401, "badauth", f"hostname={BLOG}&myip={FOUR}", ""),
    (401, "badauth", "", ""),
    (200, "abuse", f"hostname={BLOG}&myip={FOUR}", secret("banned")),
    (503, "911", f"hostname={BLOG}&myip={FOUR}", secret("suspended")),
    (200, "nohost", f"hostname=none.example.com&myip={FOUR}", SECRET),
    (200, "nohost", f"hostname=..&myip={FOUR}", SECRET),
    (200, "nohost", f"hostname=off.example.com&myip={FOUR}", SECRET),
    (200, "nohost", f"hostname=h.off.example.net&myip={FOUR}", SECRET),
    (200, "nohost", f"hostname={BLOG}&myip={FOUR}", secret("prefixed")),
    (200, "notfqdn", f"hostname=example.com&myip={FOUR}", SECRET),
    (200, "notfqdn", f"hostname=blog&myip={FOUR}", SECRET),
    (200, "numhost", f"myip={FOUR}", SECRET),
    (200, "numhost", f"hostname=,&myip={FOUR}", SECRET),
    (200, "numhost", f"hostname={','.join([BLOG] * 21)}&myip={FOUR}", SECRET),
    (200, "badip", f"hostname={BLOG}&myip=999.1.1.1", SECRET),
    (200, "badip", f"hostname={BLOG}&myip={FOUR},192.0.2.8", SECRET),
    (200, "badip", f"hostname={BLOG}&myip=fe80::1%25eth0", SECRET),
    (200, "badip", f"hostname={BLOG}&ip6lanprefix=2001:db8::/96", SECRET),
    (200, "badip", f"hostname={V4}&myip={SIX}", SECRET),
    (200, "badip\nnohost\nnotfqdn", f"hostname={V4},none.example.com,example.com&myipv6={SIX}", SECRET),
]


@pytest.mark.parametrize(("status", "body", "query", "password"), ROWS)
async def test_the_words(ddnsd: Installation, status: int, body: str, query: str, password: str) -> None:
    reply = await call(ddnsd, query, password)
    assert (reply.status, reply.body.decode()) == (status, body)
    assert reply.headers.get("www-authenticate") == ('Basic realm="ddnsd"' if status == 401 else None)


async def test_good_and_nochg(ddnsd: Installation) -> None:
    host = "h0.example.com"
    assert await said(ddnsd, f"hostname={host}&myip={FOUR}") == (200, f"good {FOUR}")
    assert await said(ddnsd, f"hostname={host}&myip={FOUR}") == (200, f"nochg {FOUR}")
    assert await said(ddnsd, f"hostname={host}&myip={FOUR},{SIX}") == (200, f"good {FOUR},{SIX}")
    assert await said(ddnsd, f"hostname={host}&myip={FOUR}&myipv6={SIX}") == (200, f"nochg {FOUR},{SIX}")
    assert (await ddnsd.query(host, "A"), await ddnsd.query(host, "AAAA")) == ((FOUR,), (SIX,))


async def test_a_part_that_a_host_cannot_take_is_left_out(ddnsd: Installation) -> None:
    """What every FritzBox sends to a host with one family: that one is done, and named."""
    assert await said(ddnsd, f"hostname={V4}&myip={FOUR}&myipv6={SIX}") == (200, f"good {FOUR}")
    assert await said(ddnsd, f"hostname={V4}&myip={FOUR}&myipv6={SIX}") == (200, f"nochg {FOUR}")
    assert (await ddnsd.query(V4, "A"), await ddnsd.query(V4, "AAAA")) == ((FOUR,), ())
    listed = (await ddnsd.admin("GET", f"history?refused=true&of={V4}")).json["items"]
    (item,) = [item for item in listed if item["left_out"]]
    assert (item["result"], item["left_out"], item["count"]) == ("family_mismatch", SIX, 2)
    history = (await ddnsd.admin("GET", f"history?of={V4}")).json["items"]
    assert {entry["type"] for entry in history} - {"Host"} == {"A"}


async def test_an_address_under_a_name_that_nobody_knows_is_not_replaced_by_another_one(
    ddnsd: Installation,
) -> None:
    host = "h7.example.com"
    assert await said(ddnsd, f"hostname={host}&wanip={FOUR}") == (200, "badip")
    assert await said(ddnsd, f"hostname={host}&myipv4={FOUR}") == (200, f"good {FOUR}")


async def test_one_family_never_touches_the_other(ddnsd: Installation) -> None:
    host = "h1.example.com"
    await said(ddnsd, f"hostname={host}&myip={FOUR},{SIX}")
    for query in ("myip=&myipv6=2001:db8::8", "myip=2001:db8::8", "myip=&myipv6=2001:db8::8&ip6lanprefix="):
        assert (await said(ddnsd, f"hostname={host}&{query}"))[1].endswith(" 2001:db8::8")
        assert await ddnsd.query(host, "A") == (FOUR,)
    assert await said(ddnsd, f"hostname={host}&myip=192.0.2.8&myipv6=") == (200, "good 192.0.2.8")
    assert await ddnsd.query(host, "AAAA") == ("2001:db8::8",)


async def test_without_any_address_it_is_the_clients(ddnsd: Installation) -> None:
    host = "h2.example.com"
    assert await said(ddnsd, f"hostname={host}") == (200, "good 127.0.0.1")
    assert await said(ddnsd, f"hostname={host}&myip=&myipv6=&ip6lanprefix=") == (200, "nochg 127.0.0.1")


async def test_twenty_hosts_have_a_line_each_in_their_order(ddnsd: Installation) -> None:
    hosts = [f"h{number}.example.com" for number in range(19, -1, -1)]
    hosts[3], hosts[7] = "none.example.com", V4
    status, body = await said(ddnsd, f"hostname={','.join(hosts)}&myip=198.51.100.1")
    expected = ["good 198.51.100.1"] * 20
    expected[3] = "nohost"
    assert (status, body.split("\n")) == (200, expected)
    assert await ddnsd.query("h19.example.com", "A") == await ddnsd.query(V4, "A") == ("198.51.100.1",)


async def test_offline_clears_and_says_the_word_alone(ddnsd: Installation) -> None:
    host = "h3.example.com"
    await said(ddnsd, f"hostname={host}&myip={FOUR},{SIX}")
    assert await said(ddnsd, f"hostname={host}&offline=NO&myip={FOUR}") == (200, f"nochg {FOUR}")
    assert await said(ddnsd, f"hostname={host}&offline=YES&myip={FOUR}") == (200, "good")
    assert await ddnsd.query(host, "A") == await ddnsd.query(host, "AAAA") == ()
    assert await said(ddnsd, f"hostname={host}&offline=YES") == (200, "nochg")
    assert await said(ddnsd, f"hostname={host}&myip={FOUR}") == (200, f"good {FOUR}")


async def test_a_prefix_moves_all_that_follow_it_and_each_line_waits_for_that(ddnsd: Installation) -> None:
    hosts, password = "none.example.com,router.example.com,two.example.com", secret("prefixed")
    query = f"hostname={hosts}&myip={FOUR}&myipv6={SIX}&ip6lanprefix=2001:db8:1:7::/56"
    assert await said(ddnsd, query, password) == (
        200,
        f"nohost\ngood {FOUR},{SIX}\ngood {FOUR},2001:db8:1:7::2",
    )
    assert await ddnsd.query("router.example.com", "AAAA") == (SIX,), "it does not follow"
    assert await ddnsd.query("two.example.com", "AAAA") == ("2001:db8:1:7::2",), "not the router's own"
    assert await ddnsd.query("one.example.com", "AAAA") == ("2001:db8:1:a::1",)
    again = await said(ddnsd, query, password)
    assert again == (200, f"nohost\nnochg {FOUR},{SIX}\nnochg {FOUR},2001:db8:1:7::2")
    other = await said(ddnsd, query.replace(FOUR, "192.0.2.8"), password)
    assert other == (200, f"nohost\ngood 192.0.2.8,{SIX}\ngood 192.0.2.8,2001:db8:1:7::2")
    alone = await said(ddnsd, "hostname=router.example.com&myip=&ip6lanprefix=2001:db8:2::/64", password)
    assert alone == (200, "good 2001:db8:2::/64")
    assert await ddnsd.query("router.example.com", "A") == ("192.0.2.8",)
    assert await ddnsd.query("two.example.com", "AAAA") == ("2001:db8:2::2",)


async def test_every_way_to_ask(ddnsd: Installation) -> None:
    query, answer = f"hostname={BLOG}&myip={FOUR}", f"{FOUR}".encode()
    await said(ddnsd, query)
    send = ddnsd.public.send
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    replies = [
        await call(ddnsd, query, path="/v3/update"),
        await send("GET", f"/nic/update?{query}", {"Authorization": f"Bearer {SECRET}"}),
        await send("GET", f"/nic/update?{query}", basic(SECRET, "whoever@example.com")),
        await send("GET", f"/nic/update?{query}&username=alice&password={SECRET}"),
        await send("POST", "/nic/update", {**form, **basic()}, query.encode()),
        await send("POST", f"/v3/update?{query}", basic()),
        await call(ddnsd, f"{query}&system=dyndns&wildcard=ON&mx=m.example.com&backmx=YES&x=%ff"),
    ]
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"nochg " + answer)] * len(replies)


async def test_an_http_1_0_client(ddnsd: Installation) -> None:
    host, _, port = ddnsd.addresses["public"].rpartition(":")
    for query, password, end in [
        (f"hostname={BLOG}&myip=192.0.2.60", SECRET, b"\r\n\r\ngood 192.0.2.60"),
        (f"hostname={BLOG}&myip=192.0.2.60", UNKNOWN, b"\r\n\r\nbadauth"),
    ]:
        reader, writer = await asyncio.open_connection(host, int(port))
        credentials = basic(password)["Authorization"]
        head = f"GET /nic/update?{query} HTTP/1.0\r\nAuthorization: {credentials}\r\n\r\n"
        writer.write(head.encode())
        everything = await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
        writer.close()
        assert everything.endswith(end)


async def test_checkip(ddnsd: Installation) -> None:
    for path in ("/nic/checkip", "/checkip", "/api/ddns/ip?format=text"):
        assert (await ddnsd.public.get(path)).body == b"127.0.0.1"
    page = (await ddnsd.public.get("/nic/checkip?format=html")).body.decode()
    assert "<body>Current IP Address: 127.0.0.1</body>" in page
    json = await ddnsd.public.get("/api/ddns/ip")
    assert json.body == b'{"success":true,"data":{"ip":"127.0.0.1","record_type":"A"}}'


async def test_no_secret_in_the_log(ddnsd: Installation) -> None:
    for _, _, query, password in ROWS:
        await call(ddnsd, query, password)
    await ddnsd.public.get("/nic/update", hostname=UNKNOWN, myip=UNKNOWN, password=UNKNOWN)
    await ddnsd.public.get("/nic/update", hostname=f"{BLOG},{UNKNOWN}", password=SECRET)
    await ddnsd.public.get("/healthz")  # what is logged of the last one is there now
    log = ddnsd.log()
    assert [event["api"] for event in ddnsd.events("update.refused")].count("dyndns2") > len(ROWS)
    for kept in (SECRET, UNKNOWN, secret("banned"), basic()["Authorization"][6:]):
        assert kept.lower() not in log.lower()


async def test_the_metrics(ddnsd: Installation) -> None:
    async def count(result: str) -> float:
        return await ddnsd.metric(f'ddnsd_requests_total{{api="dyndns2",result="{result}"}}')

    before = [await count(result) for result in ("updated", "not_found", "malformed", "missing_token")]
    await said(ddnsd, f"hostname={BLOG},{NAS}&myip=192.0.2.91")
    await said(ddnsd, f"hostname={BLOG},none.example.com&myip=192.0.2.91")
    await said(ddnsd, f"hostname={','.join([BLOG] * 21)}&myip={FOUR}")
    await said(ddnsd, f"hostname={','.join([BLOG] * 21)}&myip={FOUR}", "")
    after = [await count(result) for result in ("updated", "not_found", "malformed", "missing_token")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_nameserver_that_does_not_answer_is_dnserr_and_the_change_stays(
    tmp_path: Path, bind_rig: NameserverRig
) -> None:
    async with Installation(tmp_path, bind_rig, publish={"timeout": 1}) as ddnsd:
        await ddnsd.apply(*example([BLOG, NAS]))
        assert await said(ddnsd, f"hostname={BLOG},{NAS}&myip={FOUR}") == (200, f"good {FOUR}\ngood {FOUR}")
        assert await bind_rig.query(BLOG, "A") == (FOUR,)
        bind_rig.freeze()
        try:
            status, body = await said(ddnsd, f"hostname={BLOG},{NAS},none.example.com&myip=192.0.2.9")
            unchanged = await said(ddnsd, f"hostname=none.example.com&myip={FOUR}")
        finally:
            bind_rig.thaw()
        assert (status, body) == (503, "dnserr\ndnserr\nnohost")
        assert unchanged == (200, "nohost")

        async def is_there() -> bool:
            return await bind_rig.query(NAS, "A") == ("192.0.2.9",)

        await until(is_there, 20, "the change is published")
        # The same again waits for what was committed, and is told that it is done.
        assert (await said(ddnsd, f"hostname={NAS}&myip=192.0.2.9"))[0] == 200


@pytest.mark.asyncio(loop_scope="function")
async def test_too_often_is_911_with_a_time_to_wait(tmp_path: Path) -> None:
    limits = {"token_changes": 0.01, "token_changes_burst": 2}
    async with Installation(tmp_path, fair_use=limits) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        for number in range(2):
            assert (await said(ddnsd, f"hostname={BLOG}&myip=192.0.2.{number + 1}"))[0] == 200
        reply = await call(ddnsd, f"hostname={BLOG}&myip={FOUR}")
        assert (reply.status, reply.body) == (503, b"911")
        assert 1 <= int(reply.headers["retry-after"]) <= 100
        assert await said(ddnsd, f"hostname={BLOG}&myip=192.0.2.2") == (200, "nochg 192.0.2.2")
