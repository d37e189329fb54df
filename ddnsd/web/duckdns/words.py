"""The words of DuckDNS: `OK` and `KO`, with status 200 both, as its clients read no status."""

from collections.abc import Sequence

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.request import Answer, Limited, Refusal, Result, Unchanged, Updated, is_change

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
    challenged = any(isinstance(each, Updated | Unchanged) and each.type is Challenge.TXT for each in results)
    return (Challenge.TXT,) if challenged else tuple(Family)


def _value(results: Sequence[Result], type: RRType) -> str:
    values = (each.ip for each in results if isinstance(each, Updated | Unchanged) and each.type is type)
    return next(values, "")
