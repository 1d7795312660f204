"""A finding: a question, the answer that the results give, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from stitchpipe.studies.effect import Effect

Number: TypeAlias = int | float
Outcome: TypeAlias = Literal["as claimed", "partly", "not as claimed"]


SOURCE = "Balogh and Jelasity 2025"
"""Where the claims are made."""


class StudyError(ExplainedError, ValueError):
    """Results cannot be studied: two numbers for the same thing, or a layer that nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the results say about one question.

    Attributes
    ----------
    name
        Short and stable, for links and lookups.
    question
        As a reader would ask it.
    answer
        Computed, in words.
    claim
        What the literature says, with its source; empty where it says nothing.
    outcome
        How the answer compares with the claim; None where nothing is claimed, or it cannot be said.
    criterion
        The rule that gave the outcome.
    numbers
        The figures of the answer, by what they are.
    table
        The same and what belongs beside them, small enough to print.
    detail
        One row per case: what one would check by hand.
    falsifier
        What the results would have to show for the claim to fail here; of a finding without a claim, what would have
        turned its answer around.
    effects
        How strong it is, each number with its interval.
    left_out
        What was not counted, and why.
    study
        The name of the study that it belongs to.
    """

    name: str
    question: str
    answer: str
    claim: str
    outcome: Outcome | None
    criterion: str
    numbers: Mapping[str, Number]
    table: pd.DataFrame
    detail: pd.DataFrame
    falsifier: str
    effects: tuple[Effect, ...]
    left_out: tuple[str, ...] = ()
    study: str = ""

    def record(self, *, with_tables: bool = False) -> dict[str, Any]:
        """Return the finding as JSON-able values, with the rows of its table and its cases where they are wanted."""
        tables = {"table": _rows(self.table), "cases": _rows(self.detail)} if with_tables else {}
        return {
            "study": self.study,
            "name": self.name,
            "question": self.question,
            "answer": self.answer,
            "claim": self.claim,
            "outcome": self.outcome,
            "criterion": self.criterion,
            "falsifier": self.falsifier,
            "effects": [effect.record() for effect in self.effects],
            "left_out": list(self.left_out),
            "numbers": {name: _plain(value) for name, value in self.numbers.items()},
            **tables,
        }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON has them; a missing value is null."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): _plain(value) for name, value in row.items()} for row in plain.to_dict("records")]


def _plain(value: Any) -> Any:
    """Return a value of numpy as Python's own; a number that is none is null."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not isfinite(value) else value


def outcome_of(holds: int, cases: int) -> Outcome:
    """Return how often a claim about every case holds: always, at least in half of them, or less."""
    if holds == cases:
        return "as claimed"
    return "partly" if 2 * holds >= cases else "not as claimed"


OUTCOME_RULE = "as claimed if it holds in every case, partly if in at least half of them"
"""How `outcome_of` decides, for the reader."""


def fraction(part: int, whole: int) -> str:
    """Return ``"7 of 9"``."""
    return f"{part} of {whole}"


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, as print has it: ``"−0.93"``."""
    return f"{value:+.{digits}f}".replace("-", "−")
