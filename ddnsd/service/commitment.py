"""One commit of all that a plan wants: valid only while everything that was read is still so."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from ddnsd.model.decision import Change, Join, Move, Plan
from ddnsd.model.expiry import sighting
from ddnsd.model.records import Committed, HistoryEntry, PrefixHead, PrefixMove, RecordKey
from ddnsd.model.request import Request
from ddnsd.model.state import State
from ddnsd.service.waiting import Awaited
from ddnsd.store import codec, keys
from ddnsd.store.chronicle import addition
from ddnsd.store.interface import Update


def commitment(state: State, plan: Plan, request: Request, now: datetime) -> Update | None:
    """Return what to commit for a plan, None if nothing. `request` is one of those that it is for."""
    changes = [step for step in plan.steps if isinstance(step, Change)]
    moves = [step for step in plan.steps if isinstance(step, Move) and step.due]
    if not (changes or moves or plan.sighted):
        return None
    commit = os.urandom(9).hex()
    expects = {entry.key: entry.revision for entry in plan.reads}
    expects |= {keys.address(record): revision for record, revision in plan.records.items()}
    puts: dict[str, bytes] = {}
    for change in changes:
        puts[keys.address(change.record)] = codec.encode(_committed(change, commit, now))
    for move in moves:
        key = _prefix_key(plan)
        expects[key] = move.replaces.revision if move.replaces else 0
        puts[key] = codec.encode(_moved(plan, move, request, commit, now))
        head = keys.prefix_head(plan.holder.token.value.spec.account)
        puts[head] = codec.encode(PrefixHead(commit))
    for host, families in plan.sighted:
        seen, key = state.seen.get(host), keys.seen(host)
        if len(plan.sighted) == 1:  # two calls may refresh a family each; of many hosts it would not fit
            expects[key] = seen.revision if seen else 0
        puts[key] = codec.encode(sighting(seen.value if seen else None, families, now))
    for host, entries in _entries(plan, changes, request, now).items():
        key, expects[key], puts[key] = addition(state, host, *entries)
    return Update(expects, puts)


def awaited(plan: Plan, revision: int) -> Mapping[RecordKey, Awaited]:
    """Return what a plan waits for, once its commit was made at `revision`."""
    waits: dict[RecordKey, Awaited] = {}
    for step in plan.steps:
        match step:
            case Change():
                waits[step.record] = Awaited(revision)
            case Join():
                waits[step.record] = Awaited(step.revision, step.published)
            case Move():
                for record, awaited in _awaited_of(step, revision):
                    waits.setdefault(record, awaited)
            case _:
                pass
    return waits


def _awaited_of(move: Move, revision: int) -> Iterator[tuple[RecordKey, Awaited]]:
    """Yield what is waited for of each host that follows, once the move was committed, if it was due.

    Also of those that are there already: a client may have changed one before the commit.
    """
    for join in move.joined:
        yield join.record, Awaited(revision if move.due else join.revision, join.published, may_go=True)
    if move.due:
        for record in (*move.moving, *move.again, *move.served):
            yield record, Awaited(revision, may_go=True)


def _committed(change: Change, commit: str, now: datetime) -> Committed:
    gone = not change.content
    zone = change.zone if gone else ""
    return Committed(change.content, change.previous, commit, now, zone, cleared=gone, again=change.times)


def _moved(plan: Plan, move: Move, request: Request, commit: str, now: datetime) -> PrefixMove:
    token, name = plan.holder.token.value.spec, plan.holder.name
    prefix = str(move.prefix)
    return PrefixMove(prefix, token.account, token.hosts, commit, now, name, request.source, request.api)


def _prefix_key(plan: Plan) -> str:
    """Return a key that stands for exactly these hosts: those that the token may change as it is now."""
    token = plan.holder.token
    return keys.prefix(token.value.spec.account, plan.holder.name, token.revision)


def _entries(
    plan: Plan, changes: list[Change], request: Request, now: datetime
) -> Mapping[str, list[HistoryEntry]]:
    """Return the history's new entries, by host."""
    entries: defaultdict[str, list[HistoryEntry]] = defaultdict(list)
    for change in changes:
        if not change.again:
            record, token = change.record, plan.holder.name
            old, new = change.previous, change.shown
            entry = HistoryEntry(now, record.type, old, new, request.api, token, request.source)
            entries[record.name].append(entry)
    return entries
