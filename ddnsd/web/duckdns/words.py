"""The words of DuckDNS: `OK` and `KO`, with status 200 both, as its clients read no status."""

from collections.abc import Sequence

from ...model.addresses import Challenge, Family, RRType
from ...model.answers import Answer, Limited, Moved, Refusal, Result, is_change

OK, KO = "OK", "KO"
_UPDATED, _NO_CHANGE = "UPDATED", "NOCHANGE"


def text_of(answer: Answer, *, verbose: bool) -> str:
    """Return the words for an answer.

    A `verbose` one goes on with the two addresses of the first name, or its TXT value, a line each, which is
    empty for what was not asked for; and with whether anything changed.
    """
    if isinstance(answer, Refusal | Limited):
        return KO
    if not verbose:
        return OK
    last = _UPDATED if any(map(is_change, answer)) else _NO_CHANGE
    return "\n".join((OK, *(_value(answer, type) for type in _types(answer)), last))


def _types(results: Sequence[Result]) -> tuple[RRType, ...]:
    challenged = any(not isinstance(result, Moved) and result.type is Challenge.TXT for result in results)
    return (Challenge.TXT,) if challenged else tuple(Family)


def _value(results: Sequence[Result], type: RRType) -> str:
    values = (result.ip for result in results if not isinstance(result, Moved) and result.type is type)
    return next(values, "")
