"""Which connections calls use: kept ones, where one serves; new ones, where a kept one fails."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ddnsd.kube.api import ApiClient, ApiResource, ApiSettings, ApiUnavailableError, ObjectNotFoundError
from tests.kube.api.lamps import Lamps
from tests.kube.counting import counting
from tests.rigs.certificates import Certificates
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder, ServiceAccount

THINGS = ApiResource("test", "v1", "things", namespaced=False)
OBJECT = b'{"metadata": {"name": "a"}}'


async def test_calls_one_after_another_use_one_connection(
    kubernetes: KubernetesRig, settings: ApiSettings, lamps: Lamps
) -> None:
    lamps.put("a")
    async with counting(kubernetes.address) as proxy:
        async with ApiClient(replace(settings, server=proxy.url)) as client:
            for _ in range(20):
                await client.get(lamps.resource, "a", namespace=lamps.namespace)
                with pytest.raises(ObjectNotFoundError):
                    await client.get(lamps.resource, "b", namespace=lamps.namespace)
                await client.apply(lamps.resource, lamps.document("a"), manager="test", force=True)
            await client.list(lamps.selection)
            assert proxy.accepted == 1
        await proxy.until_open(0)


async def test_a_watch_has_a_connection_to_itself_and_leaves_none(
    kubernetes: KubernetesRig, settings: ApiSettings, lamps: Lamps
) -> None:
    async with counting(kubernetes.address) as proxy:
        async with ApiClient(replace(settings, server=proxy.url)) as client:
            version = await client.newest(lamps.selection)
            async with client.watch(lamps.selection, version):
                await client.newest(lamps.selection)
                assert proxy.open == 2
            await proxy.until_open(1)
            assert proxy.accepted == 2
        await proxy.until_open(0)


async def test_another_authority_gets_connections_of_its_own_and_a_watch_goes_on(
    kubernetes: KubernetesRig,
    mounted: ProjectedFolder,
    account: ServiceAccount,
    settings: ApiSettings,
    lamps: Lamps,
) -> None:
    async with counting(kubernetes.address) as proxy:
        async with ApiClient(replace(settings, server=proxy.url)) as client:
            version = await client.newest(lamps.selection)
            async with client.watch(lamps.selection, version) as watch:
                kubernetes.mount(mounted, account.token, account.namespace)  # the same text, in another file
                lamps.put("a")
                await client.newest(lamps.selection)
                assert proxy.accepted == 2
                (event,) = await watch.read()
                assert event.object.key.name == "a"
        await proxy.until_open(0)


async def test_no_proxy_is_taken_from_the_environment(
    client: ApiClient, lamps: Lamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await client.list(lamps.selection)


@dataclass
class StandIn:
    """A server that answers the requests of each connection as a test says."""

    settings: ApiSettings
    requests: list[str]  # methods, in order
    connections: int = 0


@asynccontextmanager
async def stand_in(
    folder: Path, *connections: tuple[bytes, ...], closes_at_once: bool = False
) -> AsyncIterator[StandIn]:
    """Serve things: each connection gives these answers, and closes at the next request, or at once.

    An empty answer keeps the client waiting. The last connection's answers are those of all later ones.
    """
    certificates = Certificates(folder / "tls")
    credentials = ProjectedFolder(folder / "serviceaccount")
    authority = (certificates.folder / "ca.pem").read_text()
    credentials.write({"token": "t", "ca.crt": authority, "namespace": "n"})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.folder / "server.pem", certificates.folder / "server.key")
    seen: StandIn

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = connections[min(seen.connections, len(connections) - 1)]
        seen.connections += 1
        try:
            for answer in answers if closes_at_once else (*answers, None):
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or b"0"))
                seen.requests.append(head.split()[0].decode())
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    seen = StandIn(ApiSettings(url, credentials.path, timeout=1.0), [])
    async with server:
        yield seen


def ok(body: bytes = OBJECT) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_a_read_on_a_connection_that_closes_just_now_is_done_again(tmp_path: Path) -> None:
    async with stand_in(tmp_path, (ok(),), (ok(), ok())) as server, ApiClient(server.settings) as client:
        for _ in range(3):
            await client.get(THINGS, "a")
    assert (server.connections, server.requests) == (2, ["GET"] * 4)


async def test_a_write_on_a_connection_that_closes_just_now_is_not_done_again(tmp_path: Path) -> None:
    async with stand_in(tmp_path, (ok(),), (ok(),)) as server, ApiClient(server.settings) as client:
        await client.get(THINGS, "a")
        with pytest.raises(ApiUnavailableError, match=r"^127\.0\.0\.1:\d+: Server disconnected"):
            await client.apply(THINGS, {"metadata": {"name": "a"}}, manager="test")
        await client.get(THINGS, "a")
    assert (server.connections, server.requests) == (2, ["GET", "PATCH", "GET"])


async def test_after_no_answer_in_time_the_next_call_connects(tmp_path: Path) -> None:
    async with stand_in(tmp_path, (ok(), b""), (ok(),)) as server, ApiClient(server.settings) as client:
        await client.get(THINGS, "a")
        with pytest.raises(ApiUnavailableError, match="no answer within 1 s"):
            await client.get(THINGS, "a")
        await client.get(THINGS, "a")
    assert server.connections == 2


async def test_an_overloaded_server_is_not_burdened_with_handshakes(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"
    async with stand_in(tmp_path, (busy, busy, ok())) as server, ApiClient(server.settings) as client:
        for _ in range(2):
            with pytest.raises(ApiUnavailableError, match="429"):
                await client.get(THINGS, "a")
        await client.get(THINGS, "a")
    assert server.connections == 1


async def test_a_call_that_is_given_up_in_the_handshake_leaves_no_connection(
    mounted: ProjectedFolder, settings: ApiSettings
) -> None:
    closed = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # and never a word of TLS
        writer.close()
        closed.set()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, ApiClient(replace(settings, server=url, timeout=0.2)) as client:
        with pytest.raises(ApiUnavailableError, match=r"no answer within 0\.2 s"):
            await client.get(THINGS, "a")
        async with asyncio.timeout(1):
            await closed.wait()


async def test_an_answer_that_breaks_off_is_none(tmp_path: Path) -> None:
    async with (
        stand_in(tmp_path, (ok()[:-5],), closes_at_once=True) as server,
        ApiClient(server.settings) as client,
    ):
        with pytest.raises(ApiUnavailableError, match="the connection was lost"):
            await client.get(THINGS, "a")
    assert server.requests == ["GET"]


async def test_a_compressed_answer_is_not_unpacked(tmp_path: Path) -> None:
    """The limits of a body are on what is sent: what is packed could be of any size."""
    packed = ok().replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    async with stand_in(tmp_path, (packed,)) as server, ApiClient(server.settings) as client:
        assert (await client.get(THINGS, "a")).json == OBJECT
