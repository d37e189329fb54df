"""Whether a state stands still though the store answers that there is more (decision 0022).

It has no clock of its own, so that tests let minutes pass at once.
"""

from dataclasses import dataclass
from enum import IntEnum

# A longer gap between two answers counts as this much, in seconds: nobody looked meanwhile, as the process
# was stopped, the machine suspended, or the store slow.
_LONGEST_GAP = 3.0
_END_SECONDS = 60.0


class Stage(IntEnum):
    """What a state that stands still asks for."""

    NONE = 0  # it moves, or there is nothing to move to
    WATCH = 1  # another watch; and nobody who sees this state leads
    SESSION = 2  # another session; and nobody should be sent here
    END = 3  # another process


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a state may stand still before each stage, in seconds."""

    watch: float
    session: float
    end: float

    @classmethod
    def of(cls, lease_ttl: float) -> "Patience":
        """Return that of an installation whose leases have `lease_ttl` seconds."""
        return cls(lease_ttl, 2 * lease_ttl, max(_END_SECONDS, 3 * lease_ttl))

    def stage(self, seconds: float) -> Stage:
        """Return the stage of a state that has stood still for so long."""
        if seconds >= self.end:
            return Stage.END
        if seconds >= self.session:
            return Stage.SESSION
        return Stage.WATCH if seconds >= self.watch else Stage.NONE


PATIENCE = Patience.of(5.0)
"""That of a store without leases."""


class Standstill:
    """Measures from answer to answer of the store. Without answers no time passes, and without a newer
    revision than the state's there is nothing to wait for: neither a lost store nor an idle one counts."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._answered: float | None = None  # when the last answer came, of those that count
        self.counting = False  # whether one has come since the state moved, or was as new as the store
        self._reached = Stage.NONE  # since the state moved last
        self.seconds = 0.0  # for which it stands still now
        self.worst = Stage.NONE  # since the state was last as new as the store

    def moved(self) -> None:
        """Note that a revision was applied, or another part of a snapshot came: however slowly, it moves."""
        self.seconds, self._answered, self._reached, self.counting = 0.0, None, Stage.NONE, False

    def unanswered(self) -> None:
        """Note that the store did not answer: it may be lost, and nothing follows from standing still."""
        self.moved()

    def caught_up(self) -> None:
        """Note that the state is as new as the store was when it was asked."""
        self.seconds, self._answered, self._reached, self.counting = 0.0, None, Stage.NONE, False
        self.worst = Stage.NONE

    def behind(self, at: float) -> Stage:
        """Note that the store answered a newer revision, at a monotonic time in seconds.

        Return the stage that begins with this answer; `NONE` if none does.
        """
        if self._answered is not None:
            self.seconds += min(at - self._answered, _LONGEST_GAP)
        self._answered, self.counting = at, True
        reached = self._patience.stage(self.seconds)
        if reached <= self._reached:
            return Stage.NONE
        self._reached = reached
        self.worst = max(self.worst, reached)
        return reached
