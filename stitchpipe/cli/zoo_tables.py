"""What the rules of a sweep name, and how much of each phase of its run there is to do, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from stitchpipe.cli.durations import duration_of
from stitchpipe.config import NetworkModel
from stitchpipe.steps.phases import phases as phases_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import RenderableType

    from stitchpipe.config import Sweep
    from stitchpipe.run import Run

_NAMED: Final = 4
"""Members of a rule that are named."""


def rules(run: Run, inspected: Collection[str]) -> list[RenderableType]:
    """Return a table of the rules: how many models each names, how many of them are inspected, and their layers."""
    members: dict[str, list[str]] = {}
    for model in run.sweep.models:
        if isinstance(model, NetworkModel) and model.rule is not None:
            members.setdefault(model.rule, []).append(model.name)
    if not members:
        return []
    view = Table(title="Rules", title_justify="left")
    for name in ("rule", "models", "inspected", "layers", "names"):
        view.add_column(name, justify="left" if name in ("rule", "names") else "right", overflow="fold")
    for rule, names in members.items():
        known = [name for name in names if name in inspected]
        layers = str(sum(len(run.layers.of(name)) for name in known)) if known else "?"
        shown = ", ".join(names[:_NAMED]) + (f", … {names[-1]}" if len(names) > _NAMED else "")
        cells = (rule, str(len(names)), str(len(known)), layers, shown)
        view.add_row(*map(Text, cells))
    return [view]


def phases(run: Run, known: Run) -> Table:
    """Return a table of the phases: how many units each has, what is there, and about how long the rest takes."""
    view = Table(title="What there is to do", title_justify="left")
    for name in ("phase", "units", "there", "failed", "to do", "about"):
        view.add_column(name, justify="left" if name in ("phase", "about") else "right")
    for phase in phases_of(run, known):
        about = ""
        if phase.mean_s is not None and phase.missing:
            about = f"{duration_of(phase.missing * phase.mean_s)} one by one, as those before"
        # Of networks that are not inspected nobody knows how many dumps and stitches there will be.
        more = " + ?" if known is not run and phase.step in ("dump", "stitch") else ""
        counts = (f"{phase.units}{more}", phase.there, phase.failed, f"{phase.missing}{more}")
        view.add_row(*(Text(cell) for cell in (phase.step, *map(str, counts), about)))
    return view


def not_inspected(sweep: Sweep, unknown: Sequence[str]) -> Text:
    """Return what is not known yet, and how to find out."""
    shown = ", ".join(unknown[:_NAMED]) + (", …" if len(unknown) > _NAMED else "")
    return Text(
        f"{len(unknown)} of {len(sweep.networks)} networks are not inspected yet ({shown}): their layers, dumps, "
        "pairs and stitches are not counted.\nTo find out, `stitchpipe inspect SWEEP`, or `stitchpipe plan SWEEP "
        "--inspect`, builds each once and leaves it on record."
    )
