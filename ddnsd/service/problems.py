"""What is wrong with documents: all of it at once, each with its field and the remedy."""

from enum import StrEnum

from ddnsd.config.reader import Problem

_TOLD = 1000


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
