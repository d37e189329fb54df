"""What stood at a name before is not taken, and only what is ddnsd's own is removed (decision 34)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.records import (
    NAME_IN_USE,
    Candidacy,
    Published,
    PublishError,
    RecordKey,
    Resource,
    Stored,
    Taking,
    Work,
    entries,
)
from ddnsd.model.request import Refusal, Request, Updated
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, Origin, Spec, TokenSpec, ZoneSpec, digest
from ddnsd.nameserver.interface import (
    LoadedNameserver,
    Nameserver,
    NameserverError,
    NoAnswerError,
    QueryRefusedError,
    Rcode,
    RecordType,
    Replace,
    RRset,
    Update,
)
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.service.documents import Document, Reason
from ddnsd.service.registry import Result, SourcedRegistry
from ddnsd.service.registry.sourced import SourcedDelete
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from ddnsd.store.interface import Done
from tests.leader.faults import Fault, FaultyNameserver, FaultyStore, Trigger
from tests.leader.node import (
    BLOG,
    PATIENCE,
    SECRET,
    ZONE,
    Node,
    embedded_nameservers,
    example,
    host,
    node_on,
    zone,
    zone_of,
)
from tests.rigs import NameserverRig, Record
from tests.rigs.forwarding import ForwardingNameserver
from tests.service.archives import read
from tests.tasks import running
from tests.waiting import until

WWW, HOME = f"www.{ZONE}", f"home.{ZONE}"
OPERATORS, OPERATORS6 = "198.51.100.80", "2001:db8:80::1"
BLOG_A, WWW_A, HOME_A = (RecordKey(name, Family.A) for name in (BLOG, WWW, HOME))
Records = dict[tuple[str, str], tuple[str, ...]]  # by owner name and type


class Watched(ForwardingNameserver):
    """A real nameserver whose UPDATEs are written down. `losing`: it does one more, and says no more."""

    def __init__(self, real: LoadedNameserver) -> None:
        super().__init__(real)
        self.updates: list[Update] = []
        self.losing = False
        self._lost = False
        self.transfers = True

    async def update(self, update: Update) -> Rcode:
        self.updates.append(update)
        if self.losing and self._lost:
            raise NoAnswerError("nothing comes through")
        rcode = await self.real.update(update)
        if self.losing and update.changes and update.changes[0].name != f"_ddnsd.{ZONE}":
            self._lost = True
            raise NoAnswerError("lost on its way back")
        return rcode

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        if not self.transfers:
            raise QueryRefusedError("no transfers here")
        async for part in self.real.transfer(zone):
            yield part

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        """Only for the first time: it stands for a nameserver that is not this process's."""
        try:
            await self.real.query(zone, zone, RecordType.SOA)
        except NameserverError:
            await self.real.open(zone, ())

    def take(self) -> list[Update]:
        """Return the UPDATEs since the last time, but for those of fences alone."""
        updates, self.updates = self.updates, []
        fence = f"_ddnsd.{ZONE}"
        return [
            each for each in updates if any(x.name != fence for x in (*each.prerequisites, *each.changes))
        ]


@asynccontextmanager
async def watched_node(folder: Path, **settings: Any) -> AsyncIterator[tuple[Node, Watched]]:
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers:
            watched = Watched(servers["default"])
            async with node_on(store, {"default": watched}, **settings) as node:
                node.lead()
                yield node, watched
    finally:
        await store.close()


async def stand(nameserver: Nameserver, name: str, *values: str, type: RecordType = RecordType.A) -> None:
    """Write a record past ddnsd; without values: remove it."""
    assert await nameserver.update(Update(ZONE, (), (Replace(name, type, 60, values),))) is Rcode.NOERROR


def error_of(node: Node, record: RecordKey) -> str:
    entry = node.state.published.get(record)
    return entry.value.error.message if entry and entry.value.error else ""


async def put(node: Node, stored: dict[str, Stored]) -> None:
    outcome = await node.commits.commit(
        StoreUpdate({}, {key: tables.encode(value) for key, value in stored.items()})
    )
    assert isinstance(outcome, Done)
    await node.cache.current()


async def work(node: Node, asked: Work, *, adopt: bool = False) -> Sequence[str]:
    id = await node.registry.work.request(ZONE, asked, adopt=adopt)
    done = await node.registry.work.finished(id, PATIENCE)
    assert done is not None
    assert not done.failure, done
    return done.findings


async def gone(node: Node) -> None:
    await node.until(lambda: not node.state.addresses and not node.state.published)


def challenge(name: str, value: str = "x" * 43) -> Request:
    return Request(name, "", SECRET, "", text=value)


async def test_names_of_others_are_refused_named_and_left_where_they_are(
    tmp_path: Path, store: EmbeddedStore, nameserver_rig: NameserverRig
) -> None:
    foreign = [
        Record(WWW, 60, "A", OPERATORS),
        Record(f"*.{HOME}", 60, "A", OPERATORS),
        Record(f"_acme-challenge.{BLOG}", 60, "TXT", '"theirs"'),
    ]
    for record in foreign:
        await nameserver_rig.add_foreign(record)
    nameserver = Rfc2136Nameserver(nameserver_rig.settings)
    async with node_on(store, {"default": nameserver}) as node:
        node.lead()
        await node.apply(*example(BLOG, WWW), host(HOME, wildcard=True))
        answers = await asyncio.gather(*(node.update(name, "192.0.2.1") for name in (BLOG, WWW, HOME)))
        assert answers == [Updated(BLOG, "192.0.2.1", Family.A, ""), *[Refusal.NAMESERVER_FAILED] * 2]
        assert await node.ask(challenge(BLOG)) is Refusal.NAMESERVER_FAILED
        adoption = f"let ddnsd take it: spec.adopt: true in Zone {ZONE}, or `ddnsd zone takeover {ZONE}`"
        stands = f"{WWW} A stands in the zone and is not ddnsd's"
        assert error_of(node, WWW_A) == f"NameInUse: {stands}; remove it there, or {adoption}"
        assert f"*.{HOME} A" in error_of(node, HOME_A)
        assert f"_acme-challenge.{BLOG} TXT" in error_of(node, RecordKey(BLOG, Challenge.TXT))

        async def all_are_told() -> bool:  # but while the first comparison has them asked for again
            return sum(NAME_IN_USE in line for line in await work(node, Work.CHECK)) == len(foreign)

        await until(all_are_told)
        assert await nameserver_rig.query(HOME, "A") == ()
        for name in (BLOG, WWW, HOME):
            await node.delete(Kind.HOST, name)
        await gone(node)
        for record in foreign:
            assert await nameserver_rig.query(record.name, record.type) == (record.value,)
        assert await nameserver_rig.query(BLOG, "A") == ()
    await nameserver.close()


async def test_a_name_that_is_freed_is_taken_at_the_next_reconcile(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW))
        await node.published()
        await stand(watched.real, WWW, OPERATORS)
        assert await node.update(WWW, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        watched.take()
        await node.repair()
        await node.until(lambda: error_of(node, WWW_A) != "" and _error_revision(node, WWW_A) > 0)
        assert not any(update.changes for update in watched.take()), "it is asked again, and nothing else"
        await stand(watched.real, WWW)
        await node.repair()
        await node.published()
        assert await zone_of(watched.real) == {(WWW, "A"): ("192.0.2.1",)}
        assert error_of(node, WWW_A) == ""


def _error_revision(node: Node, record: RecordKey) -> int:
    error = node.state.published[record].value.error
    return error.revision if error else 0


async def test_one_question_and_one_commit_for_a_batch_and_nothing_for_what_is_ours(tmp_path: Path) -> None:
    names = [f"h{number}.{ZONE}" for number in range(100)]
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(*names))
        await node.published()
        watched.take()
        revisions: set[int] = set()

        def look(_: object) -> None:
            revisions.update(
                entry.revision for entry in node.state.published.values() if entry.value.taking is not None
            )

        node.cache.subscribe(look)
        await asyncio.gather(*(node.update(name, "192.0.2.1") for name in names))
        await node.published()
        updates = watched.take()
        questions = [update for update in updates if not update.changes]
        assert len(questions) == len(revisions) <= 2, "the first one may have found not all committed yet"
        assert sum(len(update.prerequisites) - 1 for update in questions) == len(names)
        pushed = [update for update in updates if update.changes]
        assert sum(len(update.prerequisites) - 1 for update in pushed) == len(names)
        assert all(entry.value.taking is None for entry in node.state.published.values())
        await asyncio.gather(*(node.update(name, "192.0.2.2") for name in names))
        await node.published()
        updates = watched.take()
        assert all(update.changes and len(update.prerequisites) == 1 for update in updates)


async def test_what_kubernetes_has_is_no_way_to_a_name_beside_it(tmp_path: Path) -> None:
    """Neither by the other family, nor by a certificate: the name is somebody else's as a whole."""
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(zone())
        await node.published()
        origin, account = Origin("prod", "bob"), "prod:bob:bob"
        hosts = (WWW, BLOG, HOME)
        await put(
            node,
            {
                keys.resource(Kind.ACCOUNT, account): Resource(AccountSpec(), origin=origin),
                keys.resource(Kind.TOKEN, account): Resource(
                    TokenSpec(account, digest(SECRET)), origin=origin
                ),
                **{
                    keys.resource(Kind.HOST, name): Resource(HostSpec(account), origin=origin)
                    for name in hosts
                },
            },
        )
        await stand(watched.real, WWW, OPERATORS)
        for asked in (
            Request(WWW, "2001:db8::1", SECRET, ""),
            challenge(WWW),
            Request(WWW, "192.0.2.1", SECRET, ""),
        ):
            assert await node.ask(asked) is Refusal.NAMESERVER_FAILED
        error = error_of(node, RecordKey(WWW, Challenge.TXT))
        assert error.startswith(f"NameInUse: another record of {WWW} (A, AAAA or CNAME) stands in the zone")
        both = Request(BLOG, "192.0.2.1", SECRET, "", ipv6="2001:db8::1")
        assert not isinstance(await node.ask(both), Refusal)
        assert not isinstance(await node.ask(challenge(BLOG)), Refusal)
        assert not isinstance(await node.ask(challenge(HOME)), Refusal), "nothing stands at its name"
        served = await zone_of(watched.real)
        assert served[WWW, "A"] == (OPERATORS,)
        assert {name for name, _ in served if WWW in name} == {WWW}
        assert {(BLOG, "A"), (BLOG, "AAAA"), (f"_acme-challenge.{BLOG}", "TXT")} <= served.keys()


async def test_a_name_that_is_ours_gets_its_wildcard_beside_whatever_stands_there(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(zone())
        origin, account = Origin("prod", "bob"), "prod:bob:bob"
        token, place = TokenSpec(account, digest(SECRET)), keys.resource(Kind.HOST, BLOG)
        await put(
            node,
            {
                keys.resource(Kind.ACCOUNT, account): Resource(AccountSpec(), origin=origin),
                keys.resource(Kind.TOKEN, account): Resource(token, origin=origin),
                place: Resource(HostSpec(account), origin=origin),
            },
        )
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
        await stand(watched.real, BLOG, OPERATORS6, type=RecordType.AAAA)
        await put(node, {place: Resource(HostSpec(account, wildcard=True), origin=origin)})
        await node.published()
        served = await zone_of(watched.real)
        assert served[f"*.{BLOG}", "A"] == served[BLOG, "A"] == ("192.0.2.1",)
        assert served[BLOG, "AAAA"] == (OPERATORS6,)


async def test_a_lost_answer_costs_no_name(tmp_path: Path) -> None:
    async with watched_node(tmp_path, timeout=0.3) as (node, watched):
        await node.apply(*example(WWW), host(HOME, wildcard=True))
        await node.published()
        watched.losing = True
        waiting = [asyncio.create_task(node.update(name, "192.0.2.1")) for name in (WWW, HOME)]
        assert await asyncio.gather(*waiting) == [Refusal.NAMESERVER_FAILED] * 2
        assert (await zone_of(watched.real)).keys() == {(WWW, "A"), (HOME, "A"), (f"*.{HOME}", "A")}
        await node.delete(Kind.HOST, WWW)  # it is in doubt whose it is, and it goes: it is as it was noted
        watched.losing = False
        await node.update(HOME, "192.0.2.2")  # it may be told too late: the zone is in trouble
        await node.published()
        served = await zone_of(watched.real)
        assert served == {(HOME, "A"): ("192.0.2.2",), (f"*.{HOME}", "A"): ("192.0.2.2",)}


async def test_what_somebody_wrote_where_an_answer_was_lost_is_not_ours(tmp_path: Path) -> None:
    async with watched_node(tmp_path, timeout=0.3) as (node, watched):
        await node.apply(*example(WWW, BLOG))
        await node.published()
        watched.losing = True
        answers = await asyncio.gather(*(node.update(name, "192.0.2.1") for name in (WWW, BLOG)))
        assert answers == [Refusal.NAMESERVER_FAILED] * 2
        await node.stop_leading()
        for name in (WWW, BLOG):
            await stand(watched.real, name, OPERATORS)
        await node.delete(Kind.HOST, BLOG)
        watched.losing = False
        node.lead()
        await node.until(lambda: NAME_IN_USE in error_of(node, WWW_A))
        await node.until(lambda: BLOG_A not in node.state.published)
        assert await zone_of(watched.real) == {(WWW, "A"): (OPERATORS,), (BLOG, "A"): (OPERATORS,)}


async def test_a_wildcard_in_doubt_is_not_ours_because_its_host_is(tmp_path: Path) -> None:
    star = f"*.{HOME}"
    async with watched_node(tmp_path, timeout=0.3) as (node, watched):
        await node.apply(*example(HOME))
        await node.update(HOME, "192.0.2.1")
        await node.published()
        watched.losing = True
        await node.apply(host(HOME, wildcard=True))
        await node.until(lambda: any(x.name == star for update in watched.updates for x in update.changes))
        await node.stop_leading()
        await stand(watched.real, star, OPERATORS)
        watched.losing = False
        node.lead()
        await node.until(lambda: f"{star} A" in error_of(node, HOME_A))
        assert await zone_of(watched.real) == {(HOME, "A"): ("192.0.2.1",), (star, "A"): (OPERATORS,)}
        await node.delete(Kind.HOST, HOME)
        await gone(node)
        assert await zone_of(watched.real) == {(star, "A"): (OPERATORS,)}


async def test_a_zone_that_moves_takes_nothing_there_and_leaves_what_was_never_its_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = await open_embedded(tmp_path / "store")
    async with (
        embedded_nameservers(tmp_path, "default", "second") as servers,
        node_on(store, servers) as node,
    ):
        node.lead()
        await node.apply(*example(WWW, BLOG))
        await node.published()
        await stand(servers["default"], WWW, OPERATORS)
        assert await node.update(WWW, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
        left: list[Records] = []
        monkeypatch.setattr(servers["default"], "leave", _noting(servers["default"], left))
        await node.apply(zone(nameserver="second"))
        await node.published()
        assert await zone_of(servers["second"]) == {(WWW, "A"): ("192.0.2.1",), (BLOG, "A"): ("192.0.2.1",)}
        await until(lambda: left != [], what="the zone is left, when nothing of it is there")
        assert left == [{(WWW, "A"): (OPERATORS,)}]
    await store.close()


def _noting(server: Nameserver, left: list[Records]) -> Callable[[str], Awaitable[None]]:
    """Have a nameserver note what stands in a zone that ddnsd leaves: the embedded one forgets it then."""
    real = server.leave

    async def leave(name: str) -> None:
        left.append(await zone_of(server))
        await real(name)

    return leave


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("at_store", [False, True], ids=["nameserver", "store"])
async def test_each_step_interrupted(tmp_path: Path, fault: Fault, at_store: bool) -> None:
    """A host beside an operator's record, one that is given up at once, a wildcard: each call fails once."""
    for at in range(1, 1000):
        triggers = Trigger(fault, 0 if at_store else at), Trigger(fault, at if at_store else 0)
        if not await _interrupted(tmp_path / str(at), *triggers):
            break
    assert at > 6, "the story has more calls than that"


async def _interrupted(folder: Path, at_nameserver: Trigger, at_store: Trigger) -> bool:
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers:
            real = servers["default"]
            await real.open(ZONE, ())
            await stand(real, WWW, OPERATORS)
            await stand(real, f"*.{BLOG}", OPERATORS6, type=RecordType.AAAA)
            faulty = {"default": FaultyNameserver(real, at_nameserver, lambda _: None)}
            async with (
                node_on(store, faulty) as clients,
                node_on(FaultyStore(store, at_store), faulty) as leader,
                running(_successor(leader, at_nameserver), _successor(leader, at_store)),
            ):
                leader.lead()
                await clients.apply(*example(WWW, HOME), host(BLOG, wildcard=True))
                updates = (clients.update(name, "192.0.2.1") for name in (WWW, HOME, BLOG))
                answers = await asyncio.gather(*updates)
                assert answers[0] is Refusal.NAMESERVER_FAILED
                assert all(isinstance(answer, Updated) for answer in answers[1:])
                going = asyncio.create_task(clients.update(HOME, "192.0.2.2"))
                await asyncio.gather(*(clients.delete(Kind.HOST, name) for name in (WWW, HOME)))
                await going
                await clients.until(lambda: clients.state.addresses.keys() == {BLOG_A})
                await clients.published()
                assert await zone_of(real) == {
                    (WWW, "A"): (OPERATORS,),
                    (f"*.{BLOG}", "AAAA"): (OPERATORS6,),
                    (BLOG, "A"): ("192.0.2.1",),
                    (f"*.{BLOG}", "A"): ("192.0.2.1",),
                }
                at_store.buried.set()  # it may have died of its very last commit
        return at_nameserver.happened and at_store.happened
    finally:
        await store.close()


async def _successor(leader: Node, trigger: Trigger) -> None:
    """After the death of the leader, lead again."""
    await trigger.died.wait()
    await leader.stop_leading()
    trigger.buried.set()
    leader.lead()


async def test_what_a_leader_of_before_has_published_is_ours_whatever_is_noted(tmp_path: Path) -> None:
    """Also a record that it acknowledged beside a taking that it does not know, and what drifted then."""
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW, BLOG))
        await node.update(WWW, "192.0.2.1")
        await node.update(BLOG, "192.0.2.1")
        await node.published()
        await node.stop_leading()
        taking = Taking((WWW,), ("192.0.2.1",), node.state.addresses[WWW_A].revision)
        published = node.state.published[WWW_A].value
        kept = Published(published.revision, "192.0.2.1", 60, "default", published.at, taking=taking)
        drifted = Published(0, "192.0.2.1", 60, "default", taking=Taking((BLOG,), ("192.0.2.9",), 10**6))
        await put(node, {keys.published(WWW_A): kept, keys.published(BLOG_A): drifted})
        node.lead()
        assert isinstance(await node.update(WWW, "192.0.2.2"), Updated)
        assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        assert await zone_of(watched.real) == {(WWW, "A"): ("192.0.2.2",), (BLOG, "A"): ("192.0.2.2",)}


async def test_an_installation_of_before_goes_on_with_nothing_asked_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 9626785 left it: wildcards, challenges, drift, errors, a zone that moves, without a new field."""
    store = await open_embedded(tmp_path / "store")
    async with embedded_nameservers(tmp_path, "default", "second") as servers:
        watched = {name: Watched(server) for name, server in servers.items()}
        async with node_on(store, watched) as node:
            node.lead()
            await node.apply(*example(WWW, HOME), host(BLOG, wildcard=True))
            for name in (WWW, HOME, BLOG):
                await node.update(name, "192.0.2.1")
            await node.ask(challenge(BLOG))
            await node.published()
            await node.stop_leading()
            error = PublishError(0, "SERVFAIL", datetime.now(UTC), "default")
            known = {record: entry.value for record, entry in node.state.published.items()}
            known[HOME_A] = replace(known[HOME_A], revision=0)
            known[WWW_A] = replace(known[WWW_A], revision=0, error=error)
            assert {field for each in known.values() for field in (each.taking, each.adopted)} == {None, ()}
            await put(node, {keys.published(record): value for record, value in known.items()})
            await node.apply(zone(nameserver="second"))
            for each in watched.values():
                each.updates.clear()
            left: list[Records] = []
            monkeypatch.setattr(servers["default"], "leave", _noting(servers["default"], left))
            node.lead()
            await node.published()
            assert len(await zone_of(servers["second"])) == 5
            await until(lambda: left != [], what="the zone is left")
            assert left == [{}], "all of it has left"
            names = {
                x.name for each in watched.values() for update in each.take() for x in update.prerequisites
            }
            assert names == {f"_ddnsd.{ZONE}"}
    await store.close()


async def test_what_a_leader_of_before_wrote_and_read_too_early_is_ours(tmp_path: Path) -> None:
    """9626785 noted no more than the error; what has other values is somebody else's."""
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW, HOME), host(BLOG, wildcard=True))
        for name in (WWW, BLOG):
            await node.update(name, "192.0.2.1")
        await node.published()
        await node.stop_leading()
        await stand(watched.real, WWW, OPERATORS)
        message = (
            "the nameserver answered NOERROR but does not serve the record: "
            "is there a CNAME at the name, or a delegation above it?"
        )
        for record in (WWW_A, BLOG_A):
            revision = node.state.addresses[record].revision
            error = PublishError(revision, message, datetime.now(UTC), "default")
            left = Published(0, "", 60, "default", error=error, wildcard=record == BLOG_A)
            await put(node, {keys.published(record): left})
        node.lead()
        await node.until(lambda: NAME_IN_USE in error_of(node, WWW_A) and not error_of(node, BLOG_A))
        assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        assert await zone_of(watched.real) == {
            (WWW, "A"): (OPERATORS,),
            (BLOG, "A"): ("192.0.2.2",),
            (f"*.{BLOG}", "A"): ("192.0.2.2",),
        }


async def test_an_archive_of_before_goes_on_with_nothing_asked_or_refused(tmp_path: Path) -> None:
    """The nameserver has it all, and not from this installation."""
    async with watched_node(tmp_path / "old") as (old, _):
        await old.apply(*example(WWW, HOME), host(BLOG, wildcard=True))
        await old.published()
        for name in (WWW, BLOG):
            await old.update(name, "192.0.2.1")
        archive = b"".join([part async for part in (await old.registry.export()).parts()])
    async with watched_node(tmp_path / "new") as (node, watched):
        for name in (WWW, BLOG, f"*.{BLOG}"):
            await stand_in(watched, name, "192.0.2.1")
        await node.registry.restore(await read(archive))
        await node.published()
        assert await zone_of(watched.real) == {
            (name, "A"): ("192.0.2.1",) for name in (WWW, BLOG, f"*.{BLOG}")
        }
        names = {x.name for update in watched.take() for x in update.prerequisites}
        assert names == {f"_ddnsd.{ZONE}"}


async def test_an_import_gives_nobody_what_was_refused_to_him_before(tmp_path: Path) -> None:
    async with watched_node(tmp_path / "old") as (old, watched):
        await old.apply(*example(WWW))
        await old.published()
        await stand(watched.real, WWW, OPERATORS)
        assert await old.update(WWW, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        archive = b"".join([part async for part in (await old.registry.export()).parts()])
    async with watched_node(tmp_path / "new") as (node, watched):
        await stand_in(watched, WWW, OPERATORS)
        await node.registry.restore(await read(archive))
        await node.until(lambda: NAME_IN_USE in error_of(node, WWW_A))
        assert await zone_of(watched.real) == {(WWW, "A"): (OPERATORS,)}


async def test_an_import_gives_nobody_a_wildcard_that_was_refused_to_him_before(tmp_path: Path) -> None:
    """The host's own name is its own all the same."""
    star = f"*.{BLOG}"
    async with watched_node(tmp_path / "old") as (old, watched):
        await old.apply(*example(BLOG))
        assert isinstance(await old.update(BLOG, "192.0.2.1"), Updated)
        await stand(watched.real, star, OPERATORS)
        await old.apply(host(BLOG, wildcard=True))
        await old.until(lambda: star in error_of(old, BLOG_A))
        archive = b"".join([part async for part in (await old.registry.export()).parts()])
    async with watched_node(tmp_path / "new") as (node, watched):
        await stand_in(watched, star, OPERATORS)
        await stand_in(watched, BLOG, "192.0.2.1")
        await node.registry.restore(await read(archive))
        await node.until(lambda: star in error_of(node, BLOG_A))
        assert node.state.published[BLOG_A].value.ip == "192.0.2.1"
        assert await zone_of(watched.real) == {(star, "A"): (OPERATORS,), (BLOG, "A"): ("192.0.2.1",)}


async def test_an_import_of_what_is_just_leaving_forgets_nothing_of_it(tmp_path: Path) -> None:
    """Its `*.<host>` is ddnsd's own still, though the archive's host has none: it goes."""
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(BLOG))
        await node.update(BLOG, "192.0.2.1")
        archive = b"".join([part async for part in (await node.registry.export()).parts()])
        await node.apply(host(BLOG, wildcard=True))
        await node.published()
        assert (f"*.{BLOG}", "A") in await zone_of(watched.real)
        await node.stop_leading()
        await node.delete(Kind.HOST, BLOG)
        await node.registry.restore(await read(archive))
        node.lead()
        await node.published()
        assert await zone_of(watched.real) == {(BLOG, "A"): ("192.0.2.1",)}


async def stand_in(watched: Watched, name: str, ip: str) -> None:
    """Write a record into a zone that no leader has opened yet."""
    await watched.open(ZONE, ())
    await stand(watched.real, name, ip)


# Adoption


async def test_a_zone_lets_its_hosts_adopt(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW, HOME), host(BLOG, wildcard=True))
        await node.published()
        await stand(watched.real, WWW, OPERATORS, "198.51.100.81")
        await stand(watched.real, f"*.{BLOG}", OPERATORS)
        for name in (WWW, BLOG):
            assert await node.update(name, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        await node.apply(zone(adopt=True))
        await node.published()
        assert set((await zone_of(watched.real)).values()) == {("192.0.2.1",)}
        (entry, *_) = entries(node.state.history[WWW].value)
        assert (entry.api, entry.old, entry.new) == ("adoption", f"{OPERATORS} 198.51.100.81", "192.0.2.1")
        await node.apply(zone())
        assert isinstance(await node.update(WWW, "192.0.2.2"), Updated), "it is ddnsd's from then on"
        await node.update(HOME, "192.0.2.3")
        for name in (WWW, BLOG, HOME):
            await node.delete(Kind.HOST, name)
        await gone(node)
        served = await zone_of(watched.real)
        assert served == {(WWW, "A"): ("192.0.2.2",), (f"*.{BLOG}", "A"): ("192.0.2.1",)}, (
            "it was there before"
        )


async def test_what_was_adopted_goes_when_its_client_withdraws_it(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(zone(adopt=True), *example(WWW)[1:])
        await node.published()
        await stand(watched.real, WWW, OPERATORS)
        assert isinstance(await node.update(WWW, "192.0.2.1"), Updated)
        await node.ask(Request(WWW, "", SECRET, "", clear=(Family.A,)))
        assert await zone_of(watched.real) == {}


async def test_a_takeover_takes_what_stands_at_the_names_of_its_hosts(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW, BLOG), host(HOME, wildcard=True))
        await node.published()
        theirs = {(name, "A"): (OPERATORS,) for name in (WWW, BLOG, f"*.{HOME}", f"mail.{ZONE}")}
        for name, _ in theirs:
            await stand(watched.real, name, OPERATORS)
        for name in (WWW, HOME):
            assert await node.update(name, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        claimed, *taken = await work(node, Work.TAKEOVER)
        assert claimed == f"{ZONE} at default is claimed"
        assert sorted(taken) == sorted(
            f"{name} A: {OPERATORS} is ddnsd's now" for name in (WWW, BLOG, f"*.{HOME}")
        )
        await node.published()
        served = await zone_of(watched.real)
        assert served == {
            (WWW, "A"): ("192.0.2.1",),
            (BLOG, "A"): (OPERATORS,),
            (HOME, "A"): ("192.0.2.1",),
            (f"*.{HOME}", "A"): ("192.0.2.1",),
            (f"mail.{ZONE}", "A"): (OPERATORS,),
        }
        (entry,) = [each for each in entries(node.state.history[WWW].value) if each.api == "adoption"]
        assert (entry.old, entry.new) == (OPERATORS, "192.0.2.1")
        assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        await node.apply(host(f"mail.{ZONE}"))
        answer = await node.update(f"mail.{ZONE}", "192.0.2.1")
        assert answer is Refusal.NAMESERVER_FAILED, "it was no host then"


async def test_what_was_given_to_a_host_that_never_used_it_stays(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW))
        await node.published()
        await stand(watched.real, WWW, OPERATORS)
        await work(node, Work.TAKEOVER)
        assert node.state.published[WWW_A].value.ip == OPERATORS
        await node.delete(Kind.HOST, WWW)
        await gone(node)
        await node.apply(host(WWW))
        assert await node.update(WWW, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        assert await zone_of(watched.real) == {(WWW, "A"): (OPERATORS,)}


async def test_a_takeover_without_a_transfer_takes_names_only_if_it_is_told_to(tmp_path: Path) -> None:
    async with watched_node(tmp_path) as (node, watched):
        await node.apply(*example(WWW))
        await node.published()
        await stand(watched.real, WWW, OPERATORS)
        watched.transfers = False
        _, line = await work(node, Work.TAKEOVER)
        assert "`ddnsd zone takeover example.com --adopt` takes them" in line
        assert await node.update(WWW, "192.0.2.1") is Refusal.NAMESERVER_FAILED
        _, line = await work(node, Work.TAKEOVER, adopt=True)
        assert line == f"{WWW} A: {OPERATORS} is ddnsd's now"
        await node.published()
        assert await zone_of(watched.real) == {(WWW, "A"): ("192.0.2.1",)}


# The attack of issue 07, C2: two namespaces in one zone


async def test_an_editor_of_one_namespace_takes_nothing_of_the_others(
    tmp_path: Path, store: EmbeddedStore, nameserver_rig: NameserverRig
) -> None:
    """Neither beneath another's wildcard host, nor what stood in the zone, nor a certificate for it."""
    mail, ns1, login = f"mail.{ZONE}", f"ns1.{ZONE}", f"login.{HOME}"
    stood = (WWW, mail, ns1)
    for name in stood:
        await nameserver_rig.add_foreign(Record(name, 60, "A", OPERATORS))
    nameserver = Rfc2136Nameserver(nameserver_rig.settings)
    async with node_on(store, {"default": nameserver}) as node:
        node.lead()
        kube = await _controller(node, store)
        home, evil = Origin("prod", "home"), Origin("prod", "evil")
        await kube.change(
            [
                *_put(Kind.ZONE, Origin("prod"), {ZONE: ZoneSpec()}),
                *_put(Kind.ACCOUNT, home, {"prod:home:alice": AccountSpec()}),
                *_put(Kind.ACCOUNT, evil, {"prod:evil:eve": AccountSpec()}),
                *_put(Kind.HOST, home, {HOME: HostSpec("prod:home:alice", wildcard=True)}),
                *_put(Kind.TOKEN, evil, {"prod:evil:eve": TokenSpec("prod:evil:eve", digest(SECRET))}),
            ]
        )
        hosts = {name: HostSpec("prod:evil:eve") for name in (login, ns1, WWW, mail)}
        outcomes = await kube.change(_put(Kind.HOST, evil, hosts))
        assert [getattr(each, "reason", each) for each in outcomes] == [
            Reason.NAME_NESTED,
            Reason.NAME_RESERVED,
            Result.CREATED,
            Result.CREATED,
        ]
        await node.published()
        for name in (WWW, mail):
            for asked in (
                challenge(name),
                Request(name, "2001:db8::666", SECRET, ""),
                Request(name, "192.0.2.66", SECRET, ""),
            ):
                assert await node.ask(asked) is Refusal.NAMESERVER_FAILED
                assert await nameserver_rig.query(f"_acme-challenge.{name}", "TXT") == ()
        await kube.change([SourcedDelete(Kind.HOST, name) for name in (WWW, mail)])
        await gone(node)
        for name in stood:
            assert await nameserver_rig.query(name, "A") == (OPERATORS,)
            assert await nameserver_rig.query(name, "AAAA") == ()
    await nameserver.close()


async def _controller(node: Node, store: EmbeddedStore) -> SourcedRegistry:
    leadership = await store.campaign(tables.encode(Candidacy("node")), election=keys.controllers("prod"))
    guard, names = leadership.guard, ("default",)
    kube = SourcedRegistry(
        node.cache, node.commits, source="prod", uid="uid", guard=guard, nameservers=names, timeout=5.0
    )
    await kube.bind()
    return kube


def _put(kind: Kind, origin: Origin, specs: Mapping[str, Spec]) -> list[Document]:
    return [Document(kind, name, spec, origin) for name, spec in specs.items()]
