"""DNS cookies, by the test vectors of RFC 9018 and by what RFC 7873 asks of a server."""

import dns.edns
import dns.message
import pytest
from dns.rcode import Rcode

from ddnsd.nameserver.embedded.cookies import WHOLE, Cookies, siphash24
from tests.nameserver.embedded.conftest import Ask

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
CLIENT = bytes.fromhex("2464c4abcf10c957")
SOURCE, NOW = "198.51.100.100", 1_559_731_985


def at(seconds: float, secret: bytes = SECRET) -> Cookies:
    return Cookies(secret, lambda: seconds)


def test_the_hash_is_siphash_2_4() -> None:
    assert siphash24(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5  # of its authors' paper


@pytest.mark.parametrize(
    ("secret", "now", "source", "asked", "answered"),
    [  # RFC 9018 appendix A.1, A.3 and A.4
        (SECRET, NOW, SOURCE, CLIENT.hex(), "2464c4abcf10c957010000005cf79f111f8130c3eee29480"),
        (
            SECRET,
            1_559_734_700,
            "203.0.113.203",
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
            "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
        ),
        (
            bytes.fromhex("445536bcd2513298075a5d379663c962"),
            1_559_741_961,
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
        ),
    ],
)
def test_the_vectors_of_the_standard(secret: bytes, now: int, source: str, asked: str, answered: str) -> None:
    cookies = at(now, secret)
    assert cookies.answer(bytes.fromhex(asked), source).hex() == answered
    assert cookies.is_valid(bytes.fromhex(answered), source)


def test_a_cookie_is_good_for_its_client_its_address_and_an_hour() -> None:
    cookie = at(NOW).answer(CLIENT, SOURCE)
    assert len(cookie) == WHOLE
    assert [at(NOW + age).is_valid(cookie, SOURCE) for age in (-301, -300, 0, 3600, 3601)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert not at(NOW).is_valid(cookie, "198.51.100.101")
    assert not at(NOW).is_valid(bytes(8) + cookie[8:], SOURCE)
    assert not at(NOW).is_valid(b"\2" + cookie[1:], SOURCE)
    assert not at(NOW).is_valid(CLIENT, SOURCE)
    for octet in range(WHOLE):
        spoiled = bytearray(cookie)
        spoiled[octet] ^= 1
        assert not at(NOW).is_valid(bytes(spoiled), SOURCE), octet
    assert not at(NOW, bytes(16)).is_valid(cookie, SOURCE), "another process has another secret"


def test_a_fresh_cookie_stays_and_an_old_one_is_renewed() -> None:
    cookie = at(NOW).answer(CLIENT, SOURCE)
    assert at(NOW + 1799).answer(cookie, SOURCE) == cookie
    renewed = at(NOW + 1800).answer(cookie, SOURCE)
    assert renewed != cookie
    assert at(NOW + 1800).is_valid(renewed, SOURCE)


@pytest.mark.parametrize("length", [8, 16, 24, 40])
async def test_the_server_answers_a_cookie_with_its_own(ask: Ask, length: int) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"clientsh" + bytes(length - 8))
    message = await ask("blog.example.com", use_edns=0, options=[option])
    assert message.answer
    (cookie,) = (each.to_wire() for each in message.options if each.otype == dns.edns.OptionType.COOKIE)
    assert (cookie[:8], len(cookie)) == (b"clientsh", WHOLE)
    again = await ask(
        "blog.example.com",
        use_edns=0,
        options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)],
    )
    assert [each.to_wire() for each in again.options] == [cookie]


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15, 41])
async def test_a_cookie_that_none_can_be_is_a_malformed_query(ask: Ask, length: int) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes(length))
    message = await ask("blog.example.com", use_edns=0, options=[option])
    assert message.rcode() == Rcode.FORMERR


async def test_who_shows_no_cookie_gets_none(ask: Ask) -> None:
    assert (await ask("blog.example.com", use_edns=0)).options == ()
