"""Users, roles, tokens, certificates."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ddnsd.etcd import EtcdClient, EtcdUser, PutRequest, RangeRequest, Tls, TxnRequest
from ddnsd.etcd.errors import (
    AuthenticationError,
    CertificateError,
    EtcdUnavailableError,
    PermissionDeniedError,
)
from tests.rigs.etcd import EtcdRig, Version

PASSWORD = "correct horse"


@pytest.fixture
def guarded(version: Version) -> Iterator[EtcdRig]:
    """One member that asks for users: root, and `node` who may touch node/ only."""
    with EtcdRig(version) as rig:
        rig.ctl("user", "add", f"node:{PASSWORD}")
        rig.ctl("role", "add", "node")
        rig.ctl("role", "grant-permission", "node", "--prefix=true", "readwrite", "node/")
        rig.ctl("user", "grant-role", "node", "node")
        rig.enable_authentication("root's")
        yield rig


async def test_a_user_may_do_what_its_role_allows(guarded: EtcdRig) -> None:
    settings = replace(guarded.settings, credentials=EtcdUser("node", PASSWORD))
    async with EtcdClient(settings) as client:
        start = (await client.put(PutRequest(b"node/a", b"1"))).revision
        with pytest.raises(PermissionDeniedError):
            await client.put(PutRequest(b"other", b"1"))
        with pytest.raises(PermissionDeniedError):
            await client.range(RangeRequest(b"other"))
        async with client.watch(b"node/", start) as watch:
            assert [revision.revision for revision in await watch.read()] == [start]
        assert len(await client.members()) == 1
        assert not any(isinstance(status, Exception) for status in (await client.statuses()).values())
        async with client.watch(b"", start) as watch:
            with pytest.raises(PermissionDeniedError):
                await asyncio.wait_for(watch.read(), 5)


async def test_a_nested_put_outside_the_role(guarded: EtcdRig) -> None:
    """GHSA-rfx7-8w68-q57q: until etcd's patches of 2026 a nested transaction may write anywhere."""
    settings = replace(guarded.settings, credentials=EtcdUser("node", PASSWORD))
    async with EtcdClient(settings) as client:
        nested = TxnRequest(success=[TxnRequest(success=[PutRequest(b"other", b"")])])
        if guarded.version.folder is None:
            assert (await client.txn(nested)).succeeded  # Debian's 3.4.23 is not patched
        else:
            with pytest.raises(PermissionDeniedError):
                await client.txn(nested)


async def test_a_restarted_member_has_forgotten_the_token(guarded: EtcdRig) -> None:
    async with EtcdClient(guarded.settings) as client:
        start = (await client.put(PutRequest(b"a", b"1"))).revision
        async with client.watch(b"a", start) as watch:
            await watch.read()
            guarded.members[0].kill()
            guarded.members[0].launch()
            last = (
                await client.txn(TxnRequest(success=[PutRequest(b"a", b"2")]), repeatable=True, timeout=15)
            ).revision
            revisions = await asyncio.wait_for(watch.read(), 10)
            assert [revision.revision for revision in revisions] == [last]


async def test_a_change_of_roles_makes_the_token_old(guarded: EtcdRig) -> None:
    settings = replace(guarded.settings, credentials=EtcdUser("node", PASSWORD))
    async with EtcdClient(settings) as client:
        await client.put(PutRequest(b"node/a", b"1"))
        guarded.ctl("role", "grant-permission", "node", "--prefix=true", "readwrite", "more/")
        assert await client.get(b"node/a") is not None
        await client.put(PutRequest(b"more/a", b"1"))


@pytest.mark.parametrize("credentials", [None, EtcdUser("node", "wrong"), EtcdUser("nobody", PASSWORD)])
async def test_refused(guarded: EtcdRig, credentials: EtcdUser | None) -> None:
    async with EtcdClient(replace(guarded.settings, credentials=credentials)) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.put(PutRequest(b"node/a", b"1"))
        assert "wrong" not in str(caught.value)
        async with client.watch(b"node/", 1) as watch:
            with pytest.raises((AuthenticationError, PermissionDeniedError)):
                await asyncio.wait_for(watch.read(), 5)


async def test_another_user_takes_over_when_the_first_is_gone(guarded: EtcdRig) -> None:
    guarded.ctl("user", "add", f"second:{PASSWORD}2")
    guarded.ctl("user", "grant-role", "second", "node")
    settings = replace(guarded.settings, credentials=EtcdUser("node", PASSWORD))
    async with EtcdClient(settings) as client:
        await client.put(PutRequest(b"node/a", b"1"))
        client.reconfigure(replace(settings, credentials=EtcdUser("second", f"{PASSWORD}2")))
        guarded.ctl("user", "delete", "node")
        await client.put(PutRequest(b"node/a", b"2"))


async def test_a_user_where_there_was_none(guarded: EtcdRig) -> None:
    settings = replace(guarded.settings, credentials=None)
    async with EtcdClient(settings) as client:
        with pytest.raises(AuthenticationError):
            await client.put(PutRequest(b"node/a", b"1"))
        client.reconfigure(replace(settings, credentials=EtcdUser("node", PASSWORD)))
        await client.put(PutRequest(b"node/a", b"1"))


async def test_credentials_where_none_are_asked_for(etcd: EtcdRig) -> None:
    async with EtcdClient(replace(etcd.settings, credentials=EtcdUser("node", PASSWORD))) as client:
        assert (await client.put(PutRequest(b"a", b""))).revision


@pytest.fixture(scope="module")
def encrypted(version: Version) -> Iterator[EtcdRig]:
    """One member that asks for certificates."""
    with EtcdRig(version, tls=True) as rig:
        yield rig


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_tls_with_a_client_certificate(encrypted: EtcdRig, host: str) -> None:
    settings = encrypted.settings_of(f"https://{host}:{encrypted.members[0].client_port}")
    async with EtcdClient(settings) as client:
        put = await client.put(PutRequest(b"tls", b""))
        async with client.watch(b"tls", put.revision) as watch:
            assert (await watch.read())[0].revision == put.revision


@pytest.mark.parametrize("missing", ["certificate", "authority"])
async def test_tls_refused(encrypted: EtcdRig, missing: str) -> None:
    whole = encrypted.settings.tls
    assert whole is not None
    tls = Tls(authority=whole.authority) if missing == "certificate" else whole._replace(authority=None)
    async with EtcdClient(replace(encrypted.settings, tls=tls)) as client:
        with pytest.raises(CertificateError):
            await client.put(PutRequest(b"tls", b""), timeout=1)


async def test_certificates_are_replaced_while_it_works(encrypted: EtcdRig) -> None:
    whole = encrypted.settings
    assert whole.tls is not None
    async with EtcdClient(whole) as client:
        start = (await client.put(PutRequest(b"tls", b"1"))).revision
        async with client.watch(b"tls", start) as watch:
            await watch.read()
            client.reconfigure(replace(whole, tls=whole.tls._replace(certificate=None, key=None)))
            with pytest.raises(CertificateError):
                await client.put(PutRequest(b"tls", b"2"), timeout=1)
            client.reconfigure(whole)
            last = (
                await client.txn(TxnRequest(success=[PutRequest(b"tls", b"3")]), repeatable=True)
            ).revision
            (revision,) = await asyncio.wait_for(watch.read(), 10)
            assert revision.revision == last


@pytest.mark.parametrize("side", ["client", "server"])
async def test_certificate_that_is_over(version: Version, side: str) -> None:
    with EtcdRig(version, tls=True) as rig:
        assert rig.certificates is not None
        rig.certificates.renew(side, days=-1)
        async with EtcdClient(rig.settings) as client:
            with pytest.raises(CertificateError):
                await client.put(PutRequest(b"tls", b""), timeout=1)


async def test_plaintext_where_tls_is_expected_is_no_matter_of_certificates(etcd: EtcdRig) -> None:
    async with EtcdClient(etcd.settings_of(f"https://127.0.0.1:{etcd.members[0].client_port}")) as client:
        with pytest.raises(EtcdUnavailableError) as caught:
            await client.put(PutRequest(b"tls", b""), timeout=1)
    assert not isinstance(caught.value, CertificateError)


async def test_status_where_the_token_was_not_used_for_long(version: Version) -> None:
    """A member forgets a token that is only used elsewhere; it is asked for its status all the same."""
    with EtcdRig(version, options=("--auth-token-ttl", "1")) as rig:
        rig.enable_authentication("root's")
        async with EtcdClient(rig.settings) as client:
            await client.put(PutRequest(b"a", b""))
            await asyncio.sleep(3)
            assert not any(isinstance(status, Exception) for status in (await client.statuses()).values())
