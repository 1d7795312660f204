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
        "by single cuts",
        "only with joint cuts",
        "distinct",
        "by hooks",
        "cuts tested",
        "bit for bit",
        "joint cuts tested",
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
    """Return a line for each family: how many were reached and split, by what, and why others were not."""
    heading = (
        "family",
        "reached",
        "by single cuts",
        "only with joint cuts",
        "by hooks",
        "layers",
        "cuts",
        "joint cuts",
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
                *map(str, _split(reached)),
                str(sum(row.traced_by == "hooks" for row in reached)),
                _range([row.layers for row in reached]),
                _range([row.cuts for row in reached]),
                _range([row.joint_cuts for row in reached if row.joint_cuts]),
                "; ".join(f"{_plain(reason)} ({count})" for reason, count in reasons.most_common(2)),
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _counts(rows: Sequence[Row]) -> tuple[str, ...]:
    reached = [row for row in rows if row.outcome != "not reached"]
    by_single, by_joint = _split(reached)
    split = by_single + by_joint
    share = f" ({100 * split / len(reached):.1f} %)" if reached else ""
    return (
        str(len(reached)),
        f"{split}{share}",
        str(by_single),
        str(by_joint),
        str(len({row.signature for row in reached})),
        str(sum(row.traced_by == "hooks" for row in reached)),
        str(sum(row.tested for row in reached)),
        str(sum(row.exact for row in reached)),
        str(sum(row.joint_tested for row in reached)),
        str(sum(row.joint_exact for row in reached)),
        str(sum(len(row.mismatches) + len(row.miscaptured) for row in reached)),
        str(len(rows) - len(reached)),
    )


def _split(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many networks are split by single cuts alone, and how many only with joint cuts."""
    by_joint = sum(row.is_split_by_joint_cuts for row in rows)
    return sum(row.outcome == "split" for row in rows) - by_joint, by_joint


def _plain(reason: str) -> str:
    """Return a reason as a cell of a table has it: short, and without what Markdown would take for its own."""
    text = reason if len(reason) <= MOST else reason[: MOST - 1] + "…"
    return re.sub(r"([|<>*_`\[\]])", r"\\\1", text)


def _range(counts: Sequence[int]) -> str:
    if not counts:
        return ""
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
