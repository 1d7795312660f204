"""How units of work ended: done, or failed with the reason, as a record of each in the run's place.

The ledger tells people, and tells the next run which failures not to try again. What *is* done is decided by the
results, dumps and records that a unit leaves, never by the ledger.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from stitchpipe.errors import ExplainedError, named_line
from stitchpipe.run.names import unit_record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFiles

_UNITS: Final = "units"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a unit failed, in the four parts of `stitchpipe.errors.ExplainedError`.

    Attributes
    ----------
    where, expected, found, remedy
        As in the error; of an error that is not ours, `found` holds its first line.
    kind
        The error's class.
    passing
        Whether the same may succeed when it is tried again at once: a place that did not answer, a process that was
        killed.
    of_the_place
        Whether it follows from what lies in the run's place, missing or damaged: others can put that right, and what
        the unit is asked to do stays the same.
    """

    where: str
    expected: str
    found: str
    remedy: str
    kind: str
    passing: bool
    of_the_place: bool = False

    @classmethod
    def of(cls, error: BaseException, *, passing: bool, of_the_place: bool = False) -> Self:
        """Return the reason that an error gives."""
        if isinstance(error, ExplainedError):
            parts = (error.where, error.expected, error.found, error.remedy)
        else:
            parts = ("", "success", named_line(error), "The log has the whole of it.")
        return cls(*parts, kind=type(error).__name__, passing=passing, of_the_place=of_the_place)

    @property
    def is_final(self) -> bool:
        """Whether it stands until somebody changes what is asked, or asks for another try."""
        return not (self.passing or self.of_the_place)

    def __str__(self) -> str:
        """Say it as the error did."""
        where = f"{self.where}: " if self.where else ""
        return f"{where}expected {self.expected}, found {self.found}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a unit of work ended last.

    Attributes
    ----------
    unit
        Its name: ``dump A test``.
    subject
        What it was done to: the names of its model, and of a split or a layer. Empty for steps that are one unit, and
        in records that an earlier version left.
    state
        ``done`` or ``failed``.
    key
        Digest of what the unit was asked to do. A failure under another key says nothing about what is asked now.
    begun_s
        When it began, in seconds since the epoch.
    seconds
        How long it took.
    worker
        Which process did it: `stitchpipe.run.claims.Worker.name`.
    attempts
        How often it was tried, this time included, since it last succeeded or was asked otherwise.
    reason
        Why it failed.
    """

    unit: str
    state: Literal["done", "failed"]
    key: str
    begun_s: float
    seconds: float
    worker: str
    attempts: int = 1
    reason: Reason | None = None
    subject: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """The step of the unit: the words before its subject."""
        return "fit maps" if self.unit.startswith("fit maps") else self.unit.partition(" ")[0]

    @property
    def is_final(self) -> bool:
        """Whether it failed for a reason for which the next run does not try it again."""
        return self.reason is not None and self.reason.is_final


@dataclass(frozen=True)
class Ledger:
    """The outcomes of a run's units."""

    files: CheckedFiles

    def note(self, outcome: Outcome) -> None:
        """Put an outcome on record, in place of the unit's last; errors as `storage.CheckedFiles.put_record`."""
        self.files.put_record(unit_record(_UNITS, outcome.unit), asdict(outcome))

    def of(self, unit: str) -> Outcome | None:
        """Return how a unit ended last, or None if it never did. One listing, one read."""
        record = self.files.record(unit_record(_UNITS, unit))
        return None if record is None else _outcome(record)

    def outcomes(self) -> dict[str, Outcome]:
        """Return how every unit ended last, by its name. One listing, one read for each."""
        outcomes = map(_outcome, self.files.records(_UNITS).values())
        return {outcome.unit: outcome for outcome in outcomes}

    def forget(self, unit: str) -> None:
        """Remove what is on record of a unit, so that it is tried like a new one."""
        self.files.remove_record(unit_record(_UNITS, unit))


def _outcome(record: Mapping[str, Any]) -> Outcome:
    reason = record["reason"]
    return Outcome(
        **{
            **record,
            "reason": None if reason is None else Reason(**reason),
            "subject": tuple(record.get("subject", ())),
        }
    )
