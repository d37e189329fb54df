"""The adapter against peers that misbehave: what it says then, and that it lies to nobody."""

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import dns.message
import dns.rrset
import dns.tsig
import pytest

from ddnsd.nameserver.interface import (
    NoAnswerError,
    QueryRefusedError,
    Rcode,
    RecordType,
    Replace,
    UnreachableError,
    Update,
)
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver, Rfc2136Settings
from ddnsd.nameserver.rfc2136.client import Channel
from ddnsd.nameserver.wire import update_message
from tests.nameserver.peer import Peer, acknowledge, framed, peer, send
from tests.waiting import hold_up, paced, stays, turn_loop, until

CHANGE = Update("example.com", (), (Replace("a.example.com", RecordType.A, 60, ("192.0.2.1",)),))


async def update_once(peer: Peer, *, key: str = "") -> Rcode:
    nameserver = Rfc2136Nameserver(peer.settings(key=key))
    try:
        return await nameserver.update(CHANGE)
    finally:
        await nameserver.close()


async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(acknowledge(request)))


async def say_nothing(request: bytes, writer: asyncio.StreamWriter) -> None:
    pass


async def close_early(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def close_within_an_answer(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(acknowledge(request))[:5])
    writer.close()


async def reset(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def garbage(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(b"\xff" * 40))


async def garbage_with_the_right_id(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(acknowledge(request)[:4] + b"\xff" * 40))


async def too_short(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(b"x"))


async def wrong_id(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(bytes((request[0] ^ 1,)) + acknowledge(request)[1:]))


async def echo(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(request))


async def another_opcode(request: bytes, writer: asyncio.StreamWriter) -> None:
    send(writer, framed(request[:2] + b"\x80" + bytes(9)))


async def drip(request: bytes, writer: asyncio.StreamWriter) -> None:
    async for octet in paced(framed(acknowledge(request)), 0.05):
        send(writer, bytes((octet,)))


MISBEHAVIOURS = [
    say_nothing,
    close_early,
    close_within_an_answer,
    reset,
    garbage,
    garbage_with_the_right_id,
    too_short,
    wrong_id,
    echo,
    another_opcode,
    drip,
]


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
async def test_without_a_valid_answer_the_outcome_is_unknown_and_the_connection_goes(
    behaviour: Callable[..., Any],
) -> None:
    async with peer(behaviour) as hostile:
        nameserver = Rfc2136Nameserver(hostile.settings())
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(NoAnswerError, match="peer"):
                await nameserver.update(CHANGE)
        await nameserver.close()
        assert hostile.connections == 2
        assert time.monotonic() - began < 1.5


async def test_an_answer_that_comes_in_the_turn_in_which_its_time_ends() -> None:
    """The loop is held up from the answer until after the timeout: the next turn has both."""

    async def answer_and_hold_up(request: bytes, writer: asyncio.StreamWriter) -> None:
        send(writer, framed(acknowledge(request)))
        if len(late.requests) == 1:
            hold_up(0.4)

    async with peer(answer_and_hold_up) as late:
        nameserver = Rfc2136Nameserver(late.settings(timeout=0.3))
        with pytest.raises(NoAnswerError, match="no answer within"):
            await nameserver.update(CHANGE)
        assert await nameserver.update(CHANGE) is Rcode.NOERROR
        await nameserver.close()
    gc.collect()  # a task that fell is logged as an error by now, which fails the test


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
async def test_a_transfer_without_a_valid_answer_fails(behaviour: Callable[..., Any]) -> None:
    async with peer(behaviour) as hostile:
        with pytest.raises(NoAnswerError, match="peer"):
            async for _ in Rfc2136Nameserver(hostile.settings()).transfer("example.com"):
                pass


@pytest.mark.parametrize("is_end_signed", [True, False])
async def test_a_transfer_has_to_end_signed(is_end_signed: bool) -> None:
    async def transfer(request: bytes, writer: asyncio.StreamWriter) -> None:
        key = dns.tsig.Key("key", b"k" * 32, "hmac-sha256")
        query = dns.message.from_wire(request, keyring=key)
        first, last = dns.message.make_response(query), dns.message.make_response(query)
        for part in (first, last):
            part.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "SOA", "ns. host. 1 2 3 4 5"))
        send(writer, framed(first.to_wire(multi=True)))
        if not is_end_signed:
            last.tsig = None
        send(writer, framed(last.to_wire(multi=True, tsig_ctx=first.tsig_ctx)))

    async with peer(transfer) as source:
        parts = Rfc2136Nameserver(source.settings(key="key")).transfer("example.com")
        with nullcontext() if is_end_signed else pytest.raises(NoAnswerError, match="end is not signed"):
            assert [rrset.type async for part in parts for rrset in part] == [RecordType.SOA]


async def test_nothing_is_sent_without_a_connection() -> None:
    async with peer(answer) as gone:
        settings = gone.settings()
    with pytest.raises(UnreachableError, match="peer"):
        await Rfc2136Nameserver(settings).update(CHANGE)


async def test_callers_share_an_attempt_to_connect() -> None:
    # An address that answers nothing (RFC 5737) or is refused at once: both are unreachable, in time.
    settings = Rfc2136Settings("far", "192.0.2.1", 53, "", "", b"", connect_timeout=0.2)
    nameserver = Rfc2136Nameserver(settings)
    began = time.monotonic()
    queries = [nameserver.query("example.com", "example.com", RecordType.SOA) for _ in range(20)]
    outcomes = await asyncio.gather(*queries, return_exceptions=True)
    assert all(isinstance(outcome, UnreachableError) for outcome in outcomes)
    assert time.monotonic() - began < 1


async def test_a_kept_connection_that_the_peer_closed_is_opened_again() -> None:
    async with peer(answer) as restarted:
        nameserver = Rfc2136Nameserver(restarted.settings())
        await nameserver.update(CHANGE)
        restarted.drop_connections()
        await turn_loop(10)  # the close arrives
        assert await nameserver.update(CHANGE) is Rcode.NOERROR
        assert (restarted.connections, len(restarted.requests)) == (2, 2)
        await nameserver.close()


async def test_a_connection_is_kept_and_closed_when_unused() -> None:
    async with peer(answer) as kept:
        nameserver = Rfc2136Nameserver(kept.settings(idle_timeout=0.1))
        for _ in range(3):
            await nameserver.update(CHANGE)
        assert kept.connections == 1
        await stays(lambda: kept.connections == 1, 0.3)  # longer than the timeout
        await nameserver.update(CHANGE)
        assert kept.connections == 2
        await nameserver.close()


async def test_answers_in_another_order_find_their_questions() -> None:
    held = []

    async def answer_in_reverse(request: bytes, writer: asyncio.StreamWriter) -> None:
        held.append(request)
        if len(held) == 10:
            for each in reversed(held):
                send(writer, framed(acknowledge(each)))

    async with peer(answer_in_reverse) as reordering:
        nameserver = Rfc2136Nameserver(reordering.settings())
        names = [f"host{number}.example.com" for number in range(10)]
        await asyncio.gather(*(nameserver.query("example.com", name, RecordType.A) for name in names))
        assert reordering.connections == 1
        await nameserver.close()


async def test_zones_do_not_wait_for_each_other() -> None:
    async def answer_all_but_one(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"silent" not in request:
            send(writer, framed(acknowledge(request)))

    async with peer(answer_all_but_one) as uneven:
        nameserver = Rfc2136Nameserver(uneven.settings())
        waiting = asyncio.create_task(nameserver.update(Update("silent.example", (), ())))
        assert await nameserver.update(CHANGE) is Rcode.NOERROR
        assert not waiting.done()
        with pytest.raises(NoAnswerError):
            await waiting
        await nameserver.close()


async def test_a_caller_that_is_cancelled_leaves_no_answer_behind_for_the_next() -> None:
    first, given_up = True, asyncio.Event()

    async def answer_the_first_late(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        late, first = first, False
        if late:
            await given_up.wait()
        send(writer, framed(acknowledge(request)))

    async with peer(answer_the_first_late) as slow:
        nameserver = Rfc2136Nameserver(slow.settings())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await nameserver.update(CHANGE)
        given_up.set()
        assert await nameserver.update(CHANGE) is Rcode.NOERROR
        assert slow.connections == 2
        await nameserver.close()


async def test_answers_that_come_in_one_read_leave_one_timer_behind() -> None:
    """The timer of an idle connection that is used again closes nothing under who uses it."""
    asked: list[bytes] = []
    release = asyncio.Event()

    async def answer_in_pairs(request: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(request)
        if len(asked) == 2:
            send(writer, b"".join(framed(acknowledge(each)) for each in asked))
        elif len(asked) == 3:
            await release.wait()
            send(writer, framed(acknowledge(request)))

    async with peer(answer_in_pairs) as pairing:
        channel = Channel(pairing.settings(timeout=5.0, idle_timeout=0.2))
        await asyncio.gather(*(channel.ask(update_message(id, CHANGE)) for id in (1, 2)))
        asyncio.get_running_loop().call_later(0.4, release.set)  # any timer that was left has ended
        assert await channel.ask(update_message(3, CHANGE))
        assert pairing.connections == 1
        await channel.close()


async def test_updates_wait_for_each_other_rather_than_open_too_many_connections() -> None:
    """One connection is for queries, two for transfers: three are left, each for one update at a time."""
    held, at_once = 0, []

    async def answer_when_three_wait(request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal held
        held += 1
        at_once.append(held)
        await stays(lambda: held <= 3, 0.05)  # time for a fourth to come, if it were sent
        held -= 1
        send(writer, framed(acknowledge(request)))

    async with peer(answer_when_three_wait) as slow:
        settings = replace(slow.settings(timeout=5.0), max_connections=6, max_transfers=2)
        nameserver = Rfc2136Nameserver(settings)
        zones = [CHANGE._replace(zone=f"z{number}.example.com") for number in range(12)]
        rcodes = await asyncio.gather(*map(nameserver.update, zones))
        assert set(rcodes) == {Rcode.NOERROR}
        assert max(at_once) == 3
        assert slow.connections == 3
        await nameserver.close()


async def test_an_update_without_an_answer_breaks_no_other_one() -> None:
    lost_is_over = asyncio.Event()

    async def answer_only_the_good(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"good" in request:
            await lost_is_over.wait()
            send(writer, framed(acknowledge(request)))

    async with peer(answer_only_the_good) as half:
        nameserver = Rfc2136Nameserver(half.settings(timeout=0.1, idle_timeout=5.0))
        lost = asyncio.create_task(nameserver.update(CHANGE._replace(zone="lost.example.com")))
        await until(lambda: len(half.requests) == 1, what="it is sent")
        nameserver.reconfigure(half.settings(timeout=5.0))
        good = asyncio.create_task(nameserver.update(CHANGE._replace(zone="good.example.com")))
        with pytest.raises(NoAnswerError):
            await lost
        lost_is_over.set()
        assert await good is Rcode.NOERROR
        await nameserver.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (2, NoAnswerError),  # SERVFAIL: the zone is being loaded, or the nameserver is busy
        (1, NoAnswerError),
        (4, QueryRefusedError),  # NOTIMP: it transfers nothing to anybody
        (5, QueryRefusedError),
        (9, QueryRefusedError),  # NOTAUTH: not its zone, or not with this key
    ],
)
async def test_only_a_transfer_that_is_not_allowed_is_given_up(
    code: int, error: type[NoAnswerError] | type[QueryRefusedError]
) -> None:
    async def refuse(request: bytes, writer: asyncio.StreamWriter) -> None:
        send(writer, framed(acknowledge(request)[:3] + bytes((code,)) + acknowledge(request)[4:]))

    async with peer(refuse) as refusing:
        with pytest.raises(error):
            async for _ in Rfc2136Nameserver(refusing.settings()).transfer("example.com"):
                pass


def unsigned(code: int) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def answer_unsigned(request: bytes, writer: asyncio.StreamWriter) -> None:
        send(writer, framed(acknowledge(request)[:3] + bytes((code,)) + bytes(8)))

    return answer_unsigned


@pytest.mark.parametrize(("code", "rcode"), [(5, Rcode.REFUSED), (9, Rcode.NOTAUTH)])
async def test_that_the_key_is_bad_is_believed_unsigned(code: int, rcode: Rcode) -> None:
    async with peer(unsigned(code)) as refusing:
        assert await update_once(refusing, key="key") is rcode


@pytest.mark.parametrize("code", [0, 2, 7, 8])
async def test_what_an_update_did_is_not_believed_unsigned(code: int) -> None:
    async with peer(unsigned(code)) as unsigning:
        with pytest.raises(NoAnswerError, match="not signed"):
            await update_once(unsigning, key="key")


async def test_a_query_refused_unsigned_is_refused() -> None:
    async with peer(unsigned(5)) as refusing:
        nameserver = Rfc2136Nameserver(refusing.settings(key="key"))
        with pytest.raises(
            QueryRefusedError, match="REFUSED, the answer is not signed; give both the same key"
        ):
            await nameserver.query("example.com", "a.example.com", RecordType.A)
        await nameserver.close()


async def test_an_update_too_long_for_a_message_is_not_sent() -> None:
    changes = tuple(
        Replace(f"{'x' * 60}{number}.example.com", RecordType.A, 60, ("192.0.2.1",)) for number in range(600)
    )
    async with peer(answer) as unasked:
        with pytest.raises(ValueError, match="65535"):
            await Rfc2136Nameserver(unasked.settings()).update(Update("example.com", (), changes))
        assert unasked.connections == 0


def test_weak_algorithms_are_refused_and_the_secret_is_never_shown() -> None:
    with pytest.raises(ValueError, match="hmac-sha256"):
        Rfc2136Settings("ns", "127.0.0.1", 53, "key", "hmac-md5", b"secret")
    with pytest.raises(ValueError, match="no secret"):
        Rfc2136Settings("ns", "127.0.0.1", 53, "key", "hmac-sha256", b"")
    assert "topsecret" not in repr(Rfc2136Settings("ns", "::1", 53, "key", "hmac-sha512", b"topsecret"))


async def test_a_zone_that_our_key_may_not_change_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """Beside it there are good zones: an answer for one of these says nothing of it."""

    async def judge(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"bad" in request:
            send(writer, framed(acknowledge(request)[:3] + bytes((9,)) + bytes(8)))
            return
        query = dns.message.from_wire(request, keyring=dns.tsig.Key("key", b"k" * 32, "hmac-sha256"))
        send(writer, framed(dns.message.make_response(query).to_wire()))

    async with peer(judge) as judging:
        nameserver = Rfc2136Nameserver(judging.settings(key="key"))
        for _ in range(3):
            for zone, rcode in (("good.test", Rcode.NOERROR), ("bad.test", Rcode.NOTAUTH)):
                assert await nameserver.update(Update(zone, (), ())) is rcode
        await nameserver.close()
    (said,) = [record for record in caplog.records if "key_refused" in record.message]
    assert vars(said)["zone"] == "bad.test"
