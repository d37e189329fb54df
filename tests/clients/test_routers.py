"""The lines of docs/clients/routers.md: filled in as each router does it, and sent as it does.

Of UniFi there is the client itself: it runs inadyn (see also test_inadyn).
"""

import re
from collections.abc import Mapping

import pytest

from tests.clients import recipes
from tests.clients.internet import SERVER, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.clients.test_inadyn import Daemon
from tests.rigs.documents import document
from tests.rigs.home import Home
from tests.system.installation import SECRET

HOST, OTHER = "blog.example.com", "nas.example.com"
V4, V6 = "198.51.100.7", "2001:db8:1:2::7"
PREFIX, SUFFIX = "2001:db8:1:2::/64", "::1234:5678:9abc:def0"
PAGE = recipes.read("routers")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def fields(title: str, number: int = 0) -> dict[str, str]:
    """Return what a form is to be filled with, by its fields; with the secret."""
    blocks = [block.text for block in PAGE[title].blocks if block.language == "text"]
    lines = blocks[number].replace(recipes.TOKEN, SECRET).splitlines()
    return dict(line.split(": ", 1) for line in lines)


def fill(url: str, values: Mapping[str, str], placeholder: str) -> str:
    """Return the URL with a router's placeholders filled in; `placeholder` is what they look like."""
    filled = re.sub(placeholder, lambda found: values[found[0]], url)
    assert not re.search(r"[<>\[\]%]|__", filled), f"left over in {filled}"
    return filled


async def send(home: Home, url: str, *options: str) -> str:
    """Send a request as a router does, over HTTP/1.0; return what is answered, whatever the status."""
    done = await home.run("curl", "--silent", "--show-error", "--http1.0", "--globoff", *options, url)
    assert done.code == 0, done.text
    return done.text.strip()


def fritzbox(number: int, **values: str) -> str:
    """Return the URL that a FritzBox sends; an address that it does not have is empty."""
    form = fields("FritzBox")
    known = {
        "<domain>": form["Domain name"],
        "<username>": form["User name"],
        "<pass>": form["Password"],
        "<ipaddr>": values.get("ipaddr", ""),
        "<ip6addr>": values.get("ip6addr", ""),
        "<ip6lanprefix>": values.get("ip6lanprefix", ""),
    }
    return fill(fields("FritzBox", number)["Update URL"], known, r"<\w+>")


async def test_fritzbox(internet: Internet, home: Home) -> None:
    assert await send(home, fritzbox(0, ipaddr=V4, ip6addr=V6)) == f"good {V4},{V6}"
    assert await internet.nameserver.query(HOST, "A") == (V4,)
    assert await internet.nameserver.query(HOST, "AAAA") == (V6,)
    assert await send(home, fritzbox(0, ipaddr=V4, ip6addr=V6)) == f"nochg {V4},{V6}"
    assert await send(home, fritzbox(0, ipaddr="198.51.100.8")) == "good 198.51.100.8"
    assert await internet.nameserver.query(HOST, "AAAA") == (V6,)
    assert await send(home, fritzbox(0, ip6addr="2001:db8:1:3::7")) == "good 2001:db8:1:3::7"
    assert await internet.nameserver.query(HOST, "A") == ("198.51.100.8",)


async def test_fritzbox_with_computers_behind_it(internet: Internet, home: Home) -> None:
    await internet.ddnsd.apply(document("Host", OTHER, account="alice", ipv6Suffix=SUFFIX))
    url = fritzbox(1, ipaddr=V4, ip6addr=V6, ip6lanprefix=PREFIX)
    assert (await send(home, url)).startswith("good ")
    assert await internet.nameserver.query(HOST, "AAAA") == (V6,)
    assert await internet.nameserver.query(OTHER, "AAAA") == ("2001:db8:1:2:1234:5678:9abc:def0",)
    without = fritzbox(1, ipaddr=V4, ip6addr=V6)
    assert await send(home, without) == f"nochg {V4},{V6}"


def openwrt(section: str) -> dict[str, str]:
    """Return the options of a section in OpenWrt's configuration."""
    text = next(text for text in PAGE["OpenWrt"].files(SECRET).values())
    (found,) = re.findall(rf"config service '{section}'\n((?:\t.*\n)+)", text)
    return dict(re.findall(r"\toption (\w+) '(.*)'", found))


@pytest.mark.parametrize(
    ("section", "type", "address"), [("ddnsd_ipv4", "A", V4), ("ddnsd_ipv6", "AAAA", V6)]
)
@pytest.mark.parametrize("options", [(), ("--anyauth",)], ids=["curl", "wget"])
async def test_openwrt(
    internet: Internet, home: Home, section: str, type: str, address: str, options: tuple[str, ...]
) -> None:
    """It takes wget or curl; wget sends credentials only after it was asked for them."""
    options_of = openwrt(section)
    values = {f"[{name.upper()}]": options_of[name] for name in ("username", "password", "domain")}
    url = fill(options_of["update_url"], values | {"[IP]": address}, r"\[\w+\]")
    assert await send(home, url, *options) == f"good {address}"
    assert await internet.nameserver.query(options_of["lookup_host"], type) == (address,)
    assert await send(home, url, *options) == f"nochg {address}"


async def test_opnsense(internet: Internet, home: Home) -> None:
    """Its native backend: opnsense/plugins, dns/ddclient, lib/account/dyndns2.py."""
    form = fields("OPNsense")
    assert (form["Service"], form["Protocol"], form["Force SSL"]) == ("Custom", "DynDns2", "yes")
    url = f"https://{form['Server']}/nic/update?hostname={form['Hostname(s)']}&myip={V4}&wildcard=NOCHG"
    login = f"{form['Username']}:{form['Password']}"
    assert await send(home, url, "--user", login) == f"good {V4}"
    assert await internet.nameserver.query(HOST, "A") == (V4,)
    assert await send(home, url, "--user", login) == f"nochg {V4}"


async def test_synology(internet: Internet, home: Home) -> None:
    provider, form = fields("Synology"), fields("Synology", 1)
    assert provider["Service Provider"] == form["Service provider"]
    values = {
        "__HOSTNAME__": form["Hostname"],
        "__MYIP__": V4,
        "__USERNAME__": form["Username/Email"],
        "__PASSWORD__": form["Password/Key"],
    }
    url = fill(provider["Query URL"], values, "__[A-Z]+__")
    assert await send(home, url) == f"good {V4}"
    assert await internet.nameserver.query(HOST, "A") == (V4,)
    assert await send(home, url) == f"nochg {V4}"
    assert await send(home, url.replace(SECRET, "wrong")) == "badauth"
    assert await send(home, url.replace(HOST, "ghost.example.com")) == "nohost"


async def test_mikrotik(internet: Internet, home: Home) -> None:
    script = PAGE["MikroTik"].block("routeros").text.replace(recipes.TOKEN, SECRET)
    variables = dict(re.findall(r':local (\w+) "(.*)"', script))
    (url,), (header,) = re.findall(r' url="(.*?)"', script), re.findall(r' http-header-field="(.*?)"', script)
    for name, value in variables.items():
        url, header = url.replace(f"${name}", value), header.replace(f"${name}", value)
    assert "$" not in url + header
    assert '"message":"DDNS 更新成功"' in await send(home, url, "--ipv4", "--header", header)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)


def unifi(secret: str = SECRET) -> str:
    """Return inadyn's file as UniFi makes it of its form."""
    form = fields("UniFi")
    server, _, path = form["Server"].partition("/")
    assert (form["Service"], server) == ("custom", SERVER)
    return f"""
custom {server}:1 {{
    hostname = "{form["Hostname"]}"
    username = "{form["Username"]}"
    password = "{form["Password"].replace(SECRET, secret)}"
    ddns-server = "{server}"
    ddns-path = "/{path}"
}}
"""


@shows(Client.UNIFI, Scenario.FIRST)
async def test_unifi(internet: Internet, home: Home, outcome: Outcome) -> None:
    home.write("/etc/inadyn.conf", unifi())
    daemon = Daemon(home, "-C", "--iface=eth0")
    said = await daemon.says(f"Successful alias table update for {HOST}")
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert daemon.running
    outcome.tell(said, Fact.SERVED, Fact.RUNS)


@shows(Client.UNIFI, Scenario.WRONG_TOKEN)
async def test_unifi_with_a_wrong_token(home: Home, outcome: Outcome) -> None:
    home.write("/etc/inadyn.conf", unifi("wrong"))
    daemon = Daemon(home, "-C", "--iface=eth0")
    said = await daemon.says("[401 Unauthorized] badauth", times=2)
    assert daemon.running
    outcome.tell(said, Fact.RUNS)
