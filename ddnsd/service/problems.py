"""What is wrong with documents: all of it at once, each with its field and the remedy."""

from enum import StrEnum

import msgspec

_SHOWN = 60  # characters of a value that nobody has checked
_TOLD = 1000


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to correct. No message holds a secret, not even a mistaken one."""

    field: str  # path in the document: `spec.families[1]`; "" where it is the whole document
    message: str
    document: int = 0  # the document's place in the call, from 1; 0: there is but one
    resource: str = ""  # "Host blog.example.com", as far as it could be read
    other: int = 0  # the place of the other document that the message speaks of; 0: of none

    def of(self, document: int, resource: str) -> "Problem":
        """Return the problem as one of the document at this place."""
        return Problem(self.field, self.message, document, resource)

    def __str__(self) -> str:
        place = f"document {self.document}" if self.document else ""
        if place and self.resource:
            place += f" ({self.resource})"
        return ": ".join(part for part in (place, self.field, self.message) if part)


def shown(value: object) -> str:
    """Return a value as it stands in a message: on one line, not too long, JSON's words for JSON's values."""
    if isinstance(value, dict):
        return "a group of fields"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Reason(StrEnum):
    """Why one document is not accepted: a word for programs, such as the reason of a condition."""

    ACCOUNT_NOT_FOUND = "AccountNotFound"
    ZONE_NOT_FOUND = "ZoneNotFound"
    ZONE_APEX = "ZoneApex"
    UNKNOWN_NAMESERVER = "UnknownNameserver"
    INVALID = "Invalid"
    NAME_TAKEN = "NameTaken"
    SECRET_TAKEN = "SecretTaken"  # noqa: S105 - a word, not a secret
    TAKES_HOSTS_OVER = "TakesHostsOver"
    STILL_LEAVING = "StillLeaving"
    NAME_RESERVED = "NameReserved"
    NAME_NESTED = "NameNested"
    HAS_HOSTS = "HasHosts"


class InvalidDocumentError(ValueError):
    """Documents that cannot be accepted as they are, whatever else is done.

    `reason` is of a single document.
    """

    def __init__(self, *problems: Problem, reason: Reason = Reason.INVALID) -> None:
        self.problems = problems
        self.reason = reason
        super().__init__("; ".join(map(str, problems)))


class ProblemList:
    """Gathers the problems of many documents: all are counted, the first thousand are told."""

    def __init__(self) -> None:
        self._told: list[Problem] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *problems: Problem) -> None:
        """Note problems."""
        self._count += len(problems)
        self._told += problems[: _TOLD - len(self._told)]

    @property
    def told(self) -> tuple[Problem, ...]:
        """The first of them and, if there are more, how many."""
        more = self._count - len(self._told)
        return (*self._told, Problem("", f"and {more} more")) if more else tuple(self._told)

    def demand_none(self) -> None:
        """Check that there is none.

        Raises:
            InvalidDocumentError: there are some.
        """
        if self._told:
            raise InvalidDocumentError(*self.told)
