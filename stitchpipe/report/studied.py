"""The chapter of studies: each with its findings, and what the run lacks for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.report.tables import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.report.tables import Table
    from stitchpipe.studies import Answer, Effect, Finding

MOST_EFFECTS = 12
"""How many effects of a finding are shown; the rest is in its record."""


def studied(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return the studies that have findings, each with what the template shows of them."""
    return [
        {
            "study": answer.study,
            "findings": [_shown(finding) for finding in answer.findings],
            "lacking": [need.what for need in answer.lacking],
        }
        for answer in answers
        if answer.findings
    ]


def unanswered(answers: Sequence[Answer]) -> list[tuple[str, str, str]]:
    """Return name, question and needs of the studies that the run says nothing to."""
    return [
        (answer.study.name, answer.study.question, "; ".join(need.what for need in answer.lacking))
        for answer in answers
        if not answer.findings
    ]


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "finding": finding,
        "table": table_of(finding.table),
        "detail": table_of(finding.detail),
        "effects": _effects(finding.effects[:MOST_EFFECTS]) if finding.effects else None,
    }


def _effects(effects: Sequence[Effect]) -> Table:
    """Return how strong a finding is: a row for each number, with its limits."""
    return table_of(
        pd.DataFrame(
            [
                {
                    "how strong": effect.what,
                    "value": effect.value,
                    "low": effect.low,
                    "high": effect.high,
                    "over": f"{effect.units} {effect.unit}",
                }
                for effect in effects
            ]
        )
    )
