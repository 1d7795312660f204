"""What the doctor found, as a table for the terminal and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from stitchpipe.steps.checkup import Check

_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def checks(found: Sequence[Check]) -> list[RenderableType]:
    """Return a table of all checks, one row each, and a line that counts them."""
    view = Table(title_justify="left", show_edge=False)
    view.add_column("what", overflow="fold")
    view.add_column("", no_wrap=True)
    view.add_column("found, and what to do", overflow="fold", ratio=1)
    subject = ""
    for check in found:
        if check.subject != subject:
            view.add_section()
            subject = check.subject
        told = Text(check.found)
        if check.remedy:
            told.append(f"\n→ {check.remedy}", style="bold")
        view.add_row(Text(f"{check.subject}: {check.name}"), Text(check.state, _STYLES[check.state]), told)
    counted = Counter[str](check.state for check in found)
    line = ", ".join(f"{counted[state]} {state}" for state in _STYLES)
    return [view, Text(line)]


def plain(found: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as JSON has them."""
    return {
        "well": all(check.state != "problem" for check in found),
        "checks": [asdict(check) for check in found],
    }
