"""How clients behave: what each is charged for, how long it has to wait, which refusals are remembered."""

from datetime import UTC, datetime

from ddnsd.model.authorization import Holder
from ddnsd.model.decision import Plan
from ddnsd.model.names import label_count
from ddnsd.model.records import Entry, Resource
from ddnsd.model.request import Answer, Limited, Moved, Refusal, Request, Result, Skipped, is_plain, result_of
from ddnsd.model.resources import TokenSpec
from ddnsd.model.state import State
from ddnsd.service.fairuse import FairUse, Ticket
from ddnsd.service.refused import RefusedAttempt, RefusedAttempts

_HOSTS_PER_ATTEMPT = 100
"""Hosts that follow a prefix, looked at in the time of one other attempt."""
_NOT_THEIR_FAULT = (Refusal.NAMESERVER_FAILED, Refusal.STORE_FAILED)


class Conduct:
    """Judges by the state in memory: who has a token that is known here is never taken for a stranger."""

    def __init__(self, state: State, fair: FairUse, refused: RefusedAttempts) -> None:
        self._state = state
        self._fair = fair
        self._refused = refused

    def wait(self, request: Request, digest: str) -> float:
        """Return the seconds that the client has to wait before it is listened to, 0.0 if it is now.

        `digest` is of its token, "" where it sent none. Nothing else of the request is looked at: to be told
        to wait costs the same whatever is asked for. Who shares an address with others that try wrong tokens
        is told by having a right one.
        """
        token = self._state.tokens.by_digest(digest)
        if token is None:
            return self._fair.source_wait(_charged(request))
        return self._fair.attempt_wait(_name(token), token.value.spec.account)

    def enter(self, plan: Plan, ticket: Ticket) -> float:
        """Take what a plan changes, and a place to wait in; return 0.0, or the seconds until both can be had.

        A request that has entered has to `leave`.
        """
        who = _who(plan.holder)
        if wait := self._fair.enter(*who, ticket):
            return wait
        wait = self._fair.take_changes(*who, plan.changes) if plan.changes else 0.0
        if wait:
            self._fair.leave(*who, ticket)
        return wait

    def leave(self, holder: Holder, ticket: Ticket) -> None:
        """Note that what was entered waits no more."""
        self._fair.leave(*_who(holder), ticket)

    def note(
        self, request: Request, digest: str, name: str, answer: Answer, *, refused: bool = False
    ) -> None:
        """Charge the client for an answer. What is unchanged is free, and so is what others failed to do.

        But not what the nameserver was there for and `refused`, nor the look at thousands of hosts that
        follow a prefix, though they all follow it already.
        `name` is the first that was asked for, "" if there can be no such name.
        """
        if is_plain(answer) or isinstance(answer, Limited):
            return
        token = self._state.tokens.by_digest(digest)
        self._remember(request, name, answer, token)
        count = _cost(answer)
        if not count or (answer in _NOT_THEIR_FAULT and not refused):
            return
        if token is None:
            self._fair.failed(_charged(request))
        else:
            self._fair.attempted(_name(token), token.value.spec.account, count)

    def malformed(self, source: str) -> bool:
        """Charge a source for what could not even be read; return whether it sends that too often."""
        return self._fair.fails_too_often(source)

    def _remember(
        self,
        request: Request,
        name: str,
        answer: Refusal | tuple[Result, ...],
        token: Entry[Resource[TokenSpec]] | None,
    ) -> None:
        """Note what was refused, or left out."""
        who = (request.source, _name(token) if token else "")
        if isinstance(answer, Refusal):
            shown = name if label_count(name) > 1 else ""  # a token in the wrong parameter may be one label
            self._refused.note(RefusedAttempt(_now(), request.api, shown, result_of(answer), *who))
            return
        for result in answer:
            if isinstance(result, Skipped):
                reason = result_of(result.reason)
                self._refused.note(RefusedAttempt(_now(), request.api, result.name, reason, *who, result.ip))


def _now() -> datetime:
    return datetime.now(UTC)


def _charged(request: Request) -> str:
    """Return the address that failures are charged to: the connection's, where the client's is not known."""
    return request.source or request.peer


def _cost(answer: Refusal | tuple[Result, ...]) -> int:
    """Return how many attempts an answer counts for."""
    if isinstance(answer, Refusal):
        return 1
    count = int(result_of(answer) != "unchanged")
    for result in answer:
        if isinstance(result, Moved):
            count += result.hosts // _HOSTS_PER_ATTEMPT
    return count


def _who(holder: Holder) -> tuple[str, str]:
    return holder.name, holder.token.value.spec.account


def _name(token: Entry[Resource[TokenSpec]]) -> str:
    return token.key.partition("/")[2]
