"""One call to the update service for each host of a dyndns2 call, all at the same time."""

from collections.abc import Callable, Sequence
from functools import partial

from ddnsd.model.request import Answer, Limited, Moved, Refusal, Request, Result
from ddnsd.service.limits import Ticket
from ddnsd.service.update import UpdateService, Waits

Done = Callable[[Sequence[Answer], Sequence[str]], None]
"""Takes the answers, and the names that they are for."""


class Submission:
    """Has each host's request decided, and gathers the answers in their order.

    Each is done or not by itself. A prefix is for all hosts that follow it, so that one of the requests
    moves them: the first that is not refused. All others know the prefix, too, so that a host that follows
    it takes its address from there, and not the router's own.
    """

    def __init__(
        self, service: UpdateService, requests: Sequence[Request], done: Done, waits: Waits = lambda: None
    ) -> None:
        """`done` is called once; `waits` when those that are not answered wait for a nameserver alone."""
        self._service = service
        self._requests = requests
        self._done = done
        self._waits = waits
        self._waiting: set[int] = set()  # those that wait for a nameserver
        self._answers: dict[int, Answer] = {}
        self._names = [""] * len(requests)
        self._ticket = Ticket()
        self._mover = 0
        self._before: tuple[Result, ...] = ()  # what the mover's request had come to without the prefix

    def start(self) -> None:
        """Submit all."""
        for index, request in enumerate(self._requests):
            self._submit(index, request._replace(moves=index == self._mover))

    def _submit(self, index: int, request: Request) -> None:
        self._waiting.discard(index)
        self._service.submit(
            (request,), partial(self._take, index), self._ticket, partial(self._note_waiting, index)
        )

    def _note_waiting(self, index: int) -> None:
        self._waiting.add(index)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if len(self._waiting | self._answers.keys()) == len(self._requests):
            self._waits()

    def _take(self, index: int, answer: Answer, name: str) -> None:
        self._answers[index] = answer
        self._names[index] = name
        if len(self._answers) < len(self._requests):
            self._tell_waiting()
            return
        if self._before and not isinstance(answer, Refusal | Limited):
            moves = (result for result in answer if isinstance(result, Moved))
            self._answers[index] = (*self._before, *moves)
        if not self._moves_again():
            self._done([self._answers[index] for index in range(len(self._requests))], self._names)

    def _moves_again(self) -> bool:
        """If the request that should have moved the hosts was refused, let the next one do it."""
        refused = self._answers[self._mover]
        if not self._requests[0].prefix or not isinstance(refused, Refusal) or refused.status >= 500:
            return False
        for index in range(self._mover + 1, len(self._requests)):
            answer = self._answers[index]
            if not isinstance(answer, Refusal | Limited):
                self._mover, self._before = index, answer
                del self._answers[index]
                self._submit(index, self._requests[index])
                return True
        return False
