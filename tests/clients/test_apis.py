"""Each API as its clients use it, with curl: over HTTP/1.1, and over HTTP/1.0."""

from string import Template

import pytest

from tests.clients.curlrc import CURLRC, by_version
from tests.clients.internet import Internet
from tests.clients.outcomes import Outcome, Scenario
from tests.rigs.home import Home
from tests.system.installation import SECRET

HOST = "blog.example.com"
VALUES = {
    "SERVER": "https://ddns.example.net",
    "HOST": HOST,
    "TOKEN": SECRET,
    "A": "198.51.100.7",
    "B": "198.51.100.8",
    "SIX": "2001:db8::7",
    "TXT": "LPsIwTo7o8BoG0-vjCyGQGBWSVIPxI-i_X336eUOQZo",
}
CHANGED = '{"success":true,"message":"DDNS 更新成功","data":{"domain":"$HOST",'
SAME = '{"success":true,"message":"IP 地址未变化,无需更新","data":{"domain":"$HOST",'

# What curl is given, as a shell takes it, and what the answer begins with; in this order.
CALLS = {
    "/api/ddns": [
        ('"$SERVER/api/ddns/update?domain=$HOST&ip=$A&token=$TOKEN"', f'{CHANGED}"ip":"$A"'),
        ('$SERVER/api/ddns/update --data "domain=$HOST&ip=$A&ipv6=$SIX&token=$TOKEN"', CHANGED),
        ('"$SERVER/api/ddns/update?domain=$HOST&ip=$A&token=$TOKEN"', f'{SAME}"ip":"$A"'),
        ('--request DELETE "$SERVER/api/ddns/update?domain=$HOST&token=$TOKEN"', CHANGED),
        ("$SERVER/api/ddns/ip", '{"success":true,"data":{"ip":"$OWN","record_type":"A"}}'),
    ],
    "/nic/update": [
        ('--user "$HOST:$TOKEN" "$SERVER/nic/update?hostname=$HOST&myip=$B,$SIX"', "good $B,$SIX"),
        ('"$SERVER/v3/update?hostname=$HOST&myip=$B&username=$HOST&password=$TOKEN"', "nochg $B"),
        ('--user "$HOST:$TOKEN" "$SERVER/nic/update?hostname=$HOST&myip="', "good $OWN"),
        ('--user "$HOST:$TOKEN" "$SERVER/nic/update?hostname=$HOST&offline=YES"', "good"),
        ("$SERVER/nic/checkip", "$OWN"),
        ('$SERVER/nic/checkip --header "Accept: text/html"', "<html><head><title>Current IP Check</title>"),
    ],
    "/update": [
        ('"$SERVER/update?domains=blog&token=$TOKEN&ip=$A&verbose=true"', "OK\n$A\n\nUPDATED"),
        ('"$SERVER/update?domains=$HOST&token=$TOKEN&ip=$A&verbose=true"', "OK\n$A\n\nNOCHANGE"),
        ("$SERVER/update/$HOST/$TOKEN/$B", "OK"),
        ('"$SERVER/update?domains=$HOST&token=wrong&ip=$A"', "KO"),
    ],
    "POST /update": [
        (
            '$SERVER/update --header "X-Api-User: alice-router" --header "X-Api-Key: $TOKEN" '
            '--data "{\\"subdomain\\":\\"$HOST\\",\\"txt\\":\\"$TXT\\"}"',
            '{"txt":"$TXT"}',
        ),
    ],
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@by_version(Scenario.APIS)
async def test_each_api(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    home.write(CURLRC, f"{curlrc}ipv4\nsilent\nshow-error\n")
    values = VALUES | {"OWN": home.address}
    for arguments, expected in (call for calls in CALLS.values() for call in calls):
        done = await home.sh(f"curl {arguments}", **values)
        assert done.text.startswith(Template(expected).substitute(values)), (arguments, done.text)
    assert await internet.nameserver.query(HOST, "A") == (VALUES["B"],)
    assert await internet.nameserver.query(f"_acme-challenge.{HOST}", "TXT") == (f'"{VALUES["TXT"]}"',)
    heard = await home.sh("curl --verbose $SERVER/nic/checkip", **values)
    assert ("GET /nic/checkip HTTP/1.0" in heard.text) == bool(curlrc)
    outcome.tell(*CALLS, code=heard.code)
