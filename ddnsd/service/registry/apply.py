"""Many documents in one call: all checked first, then applied, at once where one commit holds them."""

import contextlib
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from ddnsd.aio import Slice
from ddnsd.model.resources import Kind
from ddnsd.service.documents import Document, read_document, title_of
from ddnsd.service.problems import InvalidDocumentError, Problem
from ddnsd.service.registry import rules
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import PartlyAppliedError, RefusedError, RegistryError
from ddnsd.service.registry.results import Applied, ApplyResult, Result
from ddnsd.service.registry.turns import Turns

MAX_ATOMIC = 100  # documents
_CHUNK = 1000  # documents looked at in one turn; most of them unchanged, or it ends sooner
_SHARE = 0.5  # of the event loop, for reading: somebody waits for it
_ORDER = (Kind.ZONE, Kind.ACCOUNT, Kind.HOST, Kind.TOKEN)  # what is referred to comes first


class _Numbered(NamedTuple):
    """A document and its place in the call, from 1."""

    place: int
    document: Document


class _Came(NamedTuple):
    """What came of a document, and what its writer should know all the same."""

    written: rules.Written
    warning: str


class _Done(NamedTuple):
    """What came of some documents, and which hosts they took an address from."""

    written: list[_Came]
    withdrawn: set[str]

    @property
    def told(self) -> tuple[str, ...]:
        """The hosts, in order."""
        return tuple(sorted(self.withdrawn))


class _TooLargeError(Exception):
    """One commit cannot hold the documents and the addresses that they withdraw."""


async def read_documents(raws: Sequence[object]) -> list[_Numbered]:
    """Read all documents, in the order in which they are to be applied.

    Raises:
        InvalidDocumentError: with the problems of all of them.
    """
    documents: dict[tuple[Kind, str], _Numbered] = {}
    problems: list[Problem] = []
    slice = Slice(share=_SHARE)
    for place, raw in enumerate(raws, 1):
        await slice.pause()
        try:
            document = read_document(raw)
        except InvalidDocumentError as error:
            problems += [problem.of(place, title_of(raw)) for problem in error.problems]
            continue
        first = documents.setdefault((document.kind, document.name), _Numbered(place, document))
        if first.place != place:
            message = f"the same as document {first.place}: keep one"
            problems.append(Problem("metadata.name", message, place, document.title, first.place))
    if problems:
        raise InvalidDocumentError(*problems)
    return sorted(documents.values(), key=lambda numbered: _ORDER.index(numbered.document.kind))


async def apply(turns: Turns, documents: Sequence[_Numbered], nameservers: Collection[str]) -> Applied:
    """Apply the documents: in one commit if they are few, else in several.

    Raises:
        InvalidDocumentError, RefusedError: nothing was applied; with the problems of all documents.
        StoreFailedError: as of `Turns.take`.
        PartlyAppliedError: it ended early.
    """
    if len(documents) <= MAX_ATOMIC:
        with contextlib.suppress(_TooLargeError):
            done, _ = await turns.take(partial(_put_all, documents=documents, nameservers=nameservers))
            return Applied(True, _results(documents, done.written), done.told)
    else:
        _check(await turns.read(), documents, nameservers)
    return await _apply_in_chunks(turns, documents, nameservers)


def _check(
    draft: Draft, documents: Sequence[_Numbered], nameservers: Collection[str], *, together: bool = False
) -> list[_Came]:
    """Put all documents into the draft, whatever its size; raise with all their problems.

    `together`: one commit holds all of them, or none is done.
    """
    others = rules.secrets_after(document for _, document in documents) if together else {}
    done: list[_Came] = []
    invalid: list[Problem] = []
    refused: list[Problem] = []
    count = 0
    for place, document in documents:
        try:
            written = rules.put(draft, document, nameservers, others)
            done.append(_Came(written, draft.warning(document.name) if document.kind is Kind.HOST else ""))
        except InvalidDocumentError as error:
            invalid += [problem.of(place, document.title) for problem in error.problems]
        except RefusedError as error:
            refused.append(Problem("", str(error), place, document.title))
            count += error.count
    if invalid:
        raise InvalidDocumentError(*sorted(invalid + refused, key=lambda problem: problem.document))
    if refused:
        message = "; ".join(map(str, refused))
        raise RefusedError(message, count=count, problems=tuple(refused))
    return done


def _put_all(draft: Draft, documents: Sequence[_Numbered], nameservers: Collection[str]) -> _Done:
    done = _check(draft, documents, nameservers, together=True)
    if not draft.fits():
        raise _TooLargeError
    return _Done(done, draft.withdrawn)


async def _apply_in_chunks(
    turns: Turns, documents: Sequence[_Numbered], nameservers: Collection[str]
) -> Applied:
    done = _Done([], set())
    while len(done.written) < len(documents):
        rest = documents[len(done.written) : len(done.written) + _CHUNK]
        try:
            more, _ = await turns.take(partial(_fill, documents=rest, nameservers=nameservers))
        except (RegistryError, InvalidDocumentError) as error:
            if not done.written:
                raise
            applied = Applied(False, _results(documents, done.written), done.told)
            raise PartlyAppliedError(applied, error) from error
        done = _Done(done.written + more.written, done.withdrawn | more.withdrawn)
    return Applied(False, _results(documents, done.written), done.told)


def _fill(draft: Draft, documents: Sequence[_Numbered], nameservers: Collection[str]) -> _Done:
    """Put as many documents into the draft as surely fit; return what came of these."""
    done: list[_Came] = []
    for numbered in documents:
        if not draft.fits(rules.PUT_COST + draft.given(numbered.document.name)):
            break
        done += _check(draft, [numbered], nameservers)
    return _Done(done, draft.withdrawn)


def _results(documents: Sequence[_Numbered], done: Sequence[_Came]) -> tuple[ApplyResult, ...]:
    """Return what came of each document, in the order of the call; those after the done ones got nothing."""
    results = [(Result(written), warning) for written, warning in done]
    results += [(Result.NOT_APPLIED, "")] * (len(documents) - len(done))
    told = [
        ApplyResult(place, document.kind, document.name, result, warning)
        for (place, document), (result, warning) in zip(documents, results, strict=True)
    ]
    return tuple(sorted(told, key=lambda result: result.document))
