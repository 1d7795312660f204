"""What a census comes to: totals, and a line for each family, in Markdown."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.census.row import Row


MOST: Final = 120
"""Characters of a reason."""


def census_table(rows: Sequence[Row]) -> str:
    """Return the totals of each library and a line for each family of a census."""
    heading = (
        "library",
        "reached",
        "split",
        "distinct",
        "by hooks",
        "cuts tested",
        "bit for bit",
        "mismatches",
        "not reached",
    )
    lines = [heading, ("---", *["---:"] * (len(heading) - 1))]
    libraries = dict.fromkeys(row.library for row in rows)
    for library in (*libraries, None):
        of = [row for row in rows if library in {None, row.library}]
        lines.append((library or "all", *_counts(of)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def census_page(rows: Sequence[Row]) -> str:
    """Return the tables of a census as a part of a page: what was run, totals, families."""
    versions = "; ".join(sorted({row.versions for row in rows}))
    spent_s = sum(row.processor_s for row in rows)
    told = f"{len(rows)} architectures, {spent_s / 3600:.1f} processor hours, with {versions}."
    return f"{told}\n\n{census_table(rows)}\n\n{family_table(rows)}\n"


def family_table(rows: Sequence[Row]) -> str:
    """Return a line for each family: how many were reached and split, how, and why others were not."""
    heading = (
        "family",
        "reached",
        "split",
        "by hooks",
        "layers",
        "cuts",
        "why not, where some are not split",
    )
    lines = [heading, ("---", *["---:"] * (len(heading) - 2), "---")]
    families: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        families.setdefault((row.library, row.family), []).append(row)
    for (library, family), of in sorted(families.items()):
        reached = [row for row in of if row.outcome != "not reached"]
        reasons = Counter(row.reason for row in of if row.reason)
        lines.append(
            (
                f"{library}: {family}",
                f"{len(reached)} of {len(of)}",
                str(sum(row.outcome == "split" for row in reached)),
                str(sum(row.traced_by == "hooks" for row in reached)),
                _range([row.layers for row in reached]),
                _range([row.cuts for row in reached]),
                "; ".join(f"{_plain(reason)} ({count})" for reason, count in reasons.most_common(2)),
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counts(rows: Sequence[Row]) -> tuple[str, ...]:
    reached = [row for row in rows if row.outcome != "not reached"]
    split = sum(row.outcome == "split" for row in reached)
    share = f" ({100 * split / len(reached):.1f} %)" if reached else ""
    return (
        str(len(reached)),
        f"{split}{share}",
        str(len({row.signature for row in reached})),
        str(sum(row.traced_by == "hooks" for row in reached)),
        str(sum(row.tested for row in reached)),
        str(sum(row.exact for row in reached)),
        str(sum(len(row.mismatches) + len(row.miscaptured) for row in reached)),
        str(len(rows) - len(reached)),
    )


def _plain(reason: str) -> str:
    """Return a reason as a cell of a table has it: short, and without what Markdown would take for its own."""
    text = reason if len(reason) <= MOST else reason[: MOST - 1] + "…"
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return ""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
