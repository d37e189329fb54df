"""Sockets that are bound early, shared, and left without losing anybody."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.app.sockets import Bound, bind_listeners
from ddnsd.config import Settings, load

SECONDS = 0.3  # shorter than the second after which a SYN is sent again


def settings(**listen: str) -> Settings:
    free = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0") | listen
    return load(None, {f"DDNSD_LISTEN_{name.upper()}": endpoint for name, endpoint in free.items()})


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bound]:
    monkeypatch.chdir(tmp_path)
    bound = bind_listeners(settings())
    yield bound["public"]
    for each in bound.values():
        each.close()


def connect(bound: Bound) -> socket.socket:
    return socket.create_connection(bound.endpoint, timeout=SECONDS)


def test_nobody_is_let_in_before_it_listens(public: Bound) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(public)
    public.listen()
    public.listen()  # another worker
    with connect(public):
        pass


def test_who_came_before_is_served_who_comes_later_is_not_let_in(public: Bound) -> None:
    public.listen()
    (listening,) = public.sockets
    with connect(public) as early:
        public.turn_away()
        with pytest.raises(TimeoutError):
            connect(public)
        accepted, _ = listening.accept()
        with accepted:
            early.sendall(b"question")
            assert accepted.recv(100) == b"question"
            accepted.sendall(b"answer")
            assert early.recv(100) == b"answer"
    public.close()
    with pytest.raises(ConnectionRefusedError):
        connect(public)


def test_one_port_for_all_addresses() -> None:
    bound = bind_listeners(settings(public=":0"))
    ports = {each.getsockname()[1] for each in bound["public"].sockets}
    families = {each.family for each in bound["public"].sockets}
    assert ports == {bound["public"].endpoint.port}
    assert families == {socket.AF_INET, socket.AF_INET6}
    for each in bound.values():
        each.close()


def test_a_port_that_somebody_takes_meanwhile(public: Bound) -> None:
    """Two programs may bind the same port, as both say that it may be used again; one may listen."""
    with socket.create_server(public.endpoint), pytest.raises(OSError, match="another program has it"):
        public.listen()


def test_an_address_of_another_machine_leaves_nothing_open() -> None:
    with pytest.raises(OSError, match=r"not an address of this machine; change listen\.health"):
        bind_listeners(settings(health="192.0.2.1:0"))
