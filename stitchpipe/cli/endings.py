"""What is said at the end of a run: three things about the networks, where the page is, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.cli.durations import duration_of
from stitchpipe.run.file_names import TIMES, report_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from stitchpipe.run import RunPlace


def ending(place: RunPlace, part: str | None = None) -> RenderableType:
    """Return what a finished run says of its networks, and where to go on.

    Parameters
    ----------
    part
        Name of the part of the sweep that was reported; None for the whole.
    """
    record = place.findings(part) or {}
    told = [(line["title"], line["text"]) for line in record.get("highlights", [])]
    told += _of_findings(record.get("findings", []))
    counts = {"pairs": record.get("pairs_missing", 0), "stitches": record.get("stitches_missing", 0)}
    if missing := [f"{count} {what}" for what, count in counts.items() if count]:
        told.append(("Missing", " and ".join(missing)))
    if left_out := record.get("stitches_left_out"):
        told.append(
            (
                "Left out",
                f"{left_out} pairs of layers that globs of stitches match: `stitchpipe plan` says why",
            )
        )
    page = f"{place.url}/{report_folder(part)}/index.html"
    shown = [f"open {place.url}"] if part is None else []
    next_up = (*shown, f"nearest {place.url} MODEL/LAYER", f"query {place.url}")
    lines = ("", f"Page  {page}", *(f"Next  stitchpipe {command}" for command in next_up))
    return Group(_grid(told), *map(_whole, lines))


def _of_findings(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return in a line what the findings said of the literature's claims."""
    outcomes = [finding["outcome"] for finding in findings if finding.get("outcome") is not None]
    if not findings:
        return []
    held = f"{outcomes.count('as claimed')} of {len(outcomes)} claims as claimed, "
    return [("Literature", f"{held * bool(outcomes)}{len(findings)} questions answered on the page")]


def _whole(line: str) -> Text:
    """Return a line that is not folded by us, so that what stands in it can be copied."""
    return Text(line, no_wrap=True, overflow="ignore")


def times(place: RunPlace) -> RenderableType:
    """Return how long the last command of a run took, in a line; `query RUN "SELECT * FROM runs"` has all."""
    record = place.files.record(TIMES) or {"commands": [{"steps": [], "total_s": 0.0}]}
    last = record["commands"][-1]
    steps = ", ".join(f"{step['step']} {duration_of(step['wall_s'])}" for step in last["steps"])
    return Text(f"Took  {duration_of(last['total_s'])}" + (f": {steps}" if steps else ""))


def _grid(lines: Iterable[tuple[str, str]]) -> Table:
    view = Table.grid(padding=(0, 2))
    view.add_column(style="bold", no_wrap=True)
    view.add_column(overflow="fold")
    for title, text in lines:
        view.add_row(Text(title), Text(text))
    return view
