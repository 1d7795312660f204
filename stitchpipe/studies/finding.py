"""A finding: a question, the answer that the results give, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Number: TypeAlias = int | float
Outcome: TypeAlias = Literal["as claimed", "partly", "not as claimed"]


SOURCE = "Balogh and Jelasity 2025"
"""Where the claims are made."""


class StudyError(ExplainedError, ValueError):
    """Results cannot be studied: two numbers for the same thing, or a layer that nobody knows."""


@dataclass(frozen=True, slots=True)
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

    def record(self) -> dict[str, Any]:
        """Return the finding as JSON-able values, without its tables."""
        return {
            "name": self.name,
            "question": self.question,
            "answer": self.answer,
            "claim": self.claim,
            "outcome": self.outcome,
            "criterion": self.criterion,
            "numbers": dict(self.numbers),
        }


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


def signed(value: float) -> str:
    """Return a correlation with its sign, as print has it: ``"−0.93"``."""
    return f"{value:+.2f}".replace("-", "−")
