"""UDP when answers cannot leave. No kernel can be made to refuse datagrams on loopback, so without one."""

from ddnsd.nameserver.embedded.datagram import DatagramProtocol


def test_queries_are_dropped_while_no_answer_can_leave():
    seen: list[bytes] = []
    protocol = DatagramProtocol(seen.append)
    client = ("127.0.0.1", 5353)
    protocol.datagram_received(b"one", client)
    protocol.pause_writing()
    protocol.datagram_received(b"two", client)
    protocol.resume_writing()
    protocol.datagram_received(b"three", client)
    assert seen == [b"one", b"three"]
