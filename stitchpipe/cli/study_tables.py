"""Studies for people: what there is to ask, what a run has for it, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from stitchpipe.cli.wide_tables import fitted
from stitchpipe.errors import ExplainedError
from stitchpipe.studies import STUDIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from stitchpipe.studies import Answer, Finding


class StudyCommandError(ExplainedError, ValueError):
    """A study is asked for, and no run."""


def demand_run(name: str, place: str | None) -> str:
    """Return the run that was named; StudyCommandError where none was."""
    if place is not None:
        return place
    raise StudyCommandError(
        where=f"stitchpipe study {name}",
        expected="a RUN whose numbers answer it",
        found="none",
        remedy=f"Write `stitchpipe study {name} RUN`; of a folder of that name say ./{name}.",
    )


def listing() -> RenderableType:
    """Return the studies with their questions and what each needs."""
    view = _table("study", "question", "needs")
    for each in STUDIES.values():
        needs = "\n".join(f"· {need.what}" for need in each.needs)
        view.add_row(*map(Text, (each.name, each.question, needs)))
    return view


def listed_records() -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [
        {
            "name": each.name,
            "title": each.title,
            "question": each.question,
            "needs": [need.what for need in each.needs],
        }
        for each in STUDIES.values()
    ]


def standing(answers: Sequence[Answer]) -> Iterator[RenderableType]:
    """Return for each study what a run says to it in a word, and what it lacks with the lines that would add it."""
    view = _table("study", "question", "has", "lacks")
    for answer in answers:
        lacks = "\n".join(f"· {need.what}" for need in answer.lacking)
        n_needs = len(answer.study.needs)
        has = f"{n_needs - len(answer.lacking)} of {n_needs}"
        view.add_row(*map(Text, (answer.study.name, answer.study.question, has, lacks)))
    yield view
    if lacking := [answer.study.name for answer in answers if answer.lacking]:
        command = f"stitchpipe study {lacking[0]} {answers[0].run}"
        yield Text(f"Which lines would add what is lacking: {command}", style="dim")


def for_people(answer: Answer, *, cases: int) -> Iterator[RenderableType]:
    """Return an answer: each finding with its numbers, what would say otherwise, and its first cases."""
    yield Text(answer.study.title, style="bold")
    yield Text(answer.study.question)
    for finding in answer.findings:
        yield from _finding(finding, cases)
    if answer.lacking:
        yield Text("")
        yield Text("Lacking" if answer.findings else "The run says nothing to it. It lacks", style="bold")
        for need in answer.lacking:
            yield Text(f"· {need.what}")
        yield Text("\nIn the sweep's file these lines add it:\n")
        yield Text(answer.toml, style="green")


def _finding(finding: Finding, cases: int) -> Iterator[RenderableType]:
    yield Text("")
    yield Text(finding.question, style="bold")
    yield Text(finding.answer)
    if finding.claim:
        yield Text(
            f"{finding.claim} {f'→ {finding.outcome}' if finding.outcome else ''}".rstrip(), style="italic"
        )
        yield Text(finding.criterion, style="dim")
    for effect in finding.effects:
        yield Text(f"  {effect}")
    yield Text(f"What would say otherwise: {finding.falsifier}", style="dim")
    if finding.left_out:
        yield Text(f"Left out: {'; '.join(finding.left_out)}.", style="dim")
    yield from fitted(_rounded(finding.table))
    shown = finding.detail.head(cases)
    if cases > 0 and len(shown):
        more = (
            f"The first {len(shown)} of {len(finding.detail)} cases"
            if len(shown) < len(finding.detail)
            else "Cases"
        )
        yield from fitted(_rounded(shown), title=more)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows with numbers to four significant digits, columns without any value left out."""
    filled = frame.dropna(axis="columns", how="all").reset_index(drop=True)
    numeric = filled.select_dtypes("float").columns
    return filled.assign(
        **{
            name: [float(f"{value:.4g}") if pd.notna(value) else value for value in filled[name]]
            for name in numeric
        }
    )


def _table(*heads: str) -> Table:
    view = Table()
    for number, head in enumerate(heads):
        view.add_column(head, overflow="fold", no_wrap=number == 0)
    return view
