"""How far a run is, as tables for the terminal and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from stitchpipe.cli.durations import duration_of
from stitchpipe.steps.standing import PLANNED, STATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from stitchpipe.steps.standing import Standing, UnitStanding

MOST_SHOWN: Final = 20
"""Units that a table names."""


def tables(of_run: Standing) -> list[RenderableType]:
    """Return how far a run is: by step, who works, what failed and why, and how long the rest takes."""
    view = Table(title=f"{of_run.url}: sweep '{of_run.sweep}'", title_justify="left", show_edge=False)
    view.add_column("step")
    for name in (*STATES, "each", "still"):
        view.add_column(name, justify="right")
    for step in of_run.steps:
        counts = [str(step.count(state) or "") for state in STATES]
        mean = "" if step.mean_s is None else duration_of(step.mean_s)
        view.add_row(step.step, *counts, mean, _still(step.left_s))
    parts: list[RenderableType] = [view]
    working = [unit for unit in of_run.units if unit.holder is not None]
    if working:
        parts.append(_workers(of_run, working))
    failed = [unit for unit in of_run.units if unit.state == "failed"]
    if failed:
        parts.append(_failures(failed))
    return [*parts, *map(Text, _lines(of_run))]


def _workers(of_run: Standing, working: Sequence[UnitStanding]) -> Table:
    view = Table(title="Under way", title_justify="left", show_edge=False)
    for name in ("unit", "done", "by", "for"):
        view.add_column(name, overflow="fold")
    for unit in working[:MOST_SHOWN]:
        if unit.holder is not None:
            worker = unit.holder.worker
            for_s = max(0.0, of_run.at_s - unit.holder.since_s)
            done = "" if unit.holder.progress is None else "{} of {}".format(*unit.holder.progress)
            view.add_row(Text(unit.unit), done, f"{worker.host} {worker.pid}", duration_of(for_s))
    if len(working) > MOST_SHOWN:
        view.add_row(f"and {len(working) - MOST_SHOWN} more", "", "", "")
    return view


def _failures(failed: Sequence[UnitStanding]) -> Table:
    view = Table(title="Failed", title_justify="left", show_edge=False, show_lines=True)
    view.add_column("unit", overflow="fold")
    view.add_column("why, and what to do", overflow="fold", ratio=1)
    for unit in failed[:MOST_SHOWN]:
        reason = None if unit.outcome is None else unit.outcome.reason
        is_tried_again = reason is not None and not reason.is_final
        told = Text(str(reason or "no reason on record"))
        told.append(
            "\n→ the next run tries it again" if is_tried_again else "\n→ run again with --retry-failed",
            "bold",
        )
        view.add_row(Text(unit.unit), told)
    if len(failed) > MOST_SHOWN:
        view.add_row(f"and {len(failed) - MOST_SHOWN} more", "")
    return view


def _lines(of_run: Standing) -> list[str]:
    """Return what is to be said beside the tables."""
    lines = []
    if not of_run.is_complete:
        lines.append("Stitches are known when every network is inspected; they are not counted yet.")
    if of_run.lost:
        lines.append(
            f"Claimed by workers that are lost, for the next run to take: {_some(list(of_run.lost))}."
        )
    if of_run.others:
        lines.append(f"Other sweeps of this run: {', '.join(of_run.others)} (--sweep NAME).")
    by = f"the {of_run.workers} workers that are at it" if of_run.workers else "one worker"
    untold = [step.step for step in of_run.steps if step.left_s is None]
    told_s = sum(step.left_s for step in of_run.steps if step.left_s is not None)
    planned = [step.step for step in of_run.steps if step.is_planned]
    if told_s:
        beside = f", without {', '.join(untold)}" if untold else ""
        lines.append(
            f"About {duration_of(told_s)} still{beside}, by {by}: as long as units took that are done."
        )
    if planned:
        lines.append(f"Of {', '.join(planned)} nothing is done yet: their time is what the plan says.")
    plannable = [step for step in untold if step in PLANNED]
    if plannable:
        lines.append(f"Of {', '.join(plannable)} nothing is done yet: --plan tries a little of it.")
    if not told_s and not untold and not of_run.count("failed"):
        lines.append("Everything is done.")
    return lines


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _still(left_s: float | None) -> str:
    if left_s is None:
        return "?"
    return duration_of(left_s) if left_s else ""


def plain(of_run: Standing) -> dict[str, Any]:
    """Return how far a run is as JSON has it."""
    return {
        "run": of_run.url,
        "sweep": of_run.sweep,
        "other_sweeps": list(of_run.others),
        "at_s": of_run.at_s,
        "all_units_known": of_run.is_complete,
        "workers": of_run.workers,
        "left_s": of_run.left_s,
        "steps": [
            {
                "step": step.step,
                **{state.replace(" ", "_"): step.count(state) for state in STATES},
                "mean_s": step.mean_s,
                "left_s": step.left_s,
                "left_is_planned": step.is_planned,
            }
            for step in of_run.steps
        ],
        "units": [
            {
                "unit": unit.unit,
                "state": unit.state,
                "by": None if unit.holder is None else asdict(unit.holder.worker),
                "progress": None if unit.holder is None else unit.holder.progress,
                "since_s": None if unit.holder is None else unit.holder.since_s,
                "outcome": None if unit.outcome is None else asdict(unit.outcome),
            }
            for unit in of_run.units
        ],
        "claimed_by_the_lost": {unit: asdict(holder.worker) for unit, holder in of_run.lost.items()},
    }
