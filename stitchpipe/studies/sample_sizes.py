"""Study **samples**: how every index goes with the number of images, beside its null where a run has one."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.studies.best_match import SIGNIFICANT
from stitchpipe.studies.control_pairs import pair_kinds
from stitchpipe.studies.effect import Effect, jackknifed, mean_of_units, share_of_cases
from stitchpipe.studies.finding import Finding, signed
from stitchpipe.studies.indices import title_of
from stitchpipe.studies.rank_correlation import codes, spearman
from stitchpipe.studies.stitches import PAIR
from stitchpipe.studies.study import Need, Study
from stitchpipe.studies.two_runs import BY, images, numbers, shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.studies.evidence import Evidence

PERMUTED = "permuted"
ABOVE = 3.0
"""Standard deviations of a null in closed form above which a pair counts as similar."""


def samples(evidence: Evidence) -> Finding | None:
    """Answer what fewer images change; None without runs over the same pairs with several numbers of images."""
    runs = {images(each): each for each in (evidence, *evidence.others)}
    counts = sorted(count for count in runs if count > 0)
    if len(counts) < 2:
        return None
    most = counts[-1]
    full = _comparisons(runs[most])
    table: list[dict[str, Any]] = []
    effects: list[Effect] = []
    cases = []
    for count in counts[:-1]:
        both = shared(_comparisons(runs[count]), full)
        cases.append(both.assign(images=count))
        for row, of_row in _moved(both, runs[count], count, most):
            table.append(row)
            effects += of_row
    if not table:
        return None
    frame = pd.DataFrame(table)
    fewest = frame[frame["images"] == counts[0]]
    largest = fewest.iloc[int(fewest["bias"].abs().to_numpy().argmax())]
    return Finding(
        name="images",
        question="How does each index go with the number of images?",
        answer=f"From {most} to {counts[0]} images the mean over pairs moves most by {largest['index']}: by "
        f"{signed(largest['bias'], 3)}. The order of pairs keeps a rank correlation of at least "
        f"{signed(fewest['Spearman ρ'].min())} with that of {most} images." + _not_above(fewest, counts[0]),
        claim="",
        outcome=None,
        criterion="",
        numbers={f"{row['index']}, {row['images']} images": row["bias"] for row in table},
        table=frame,
        detail=pd.concat(cases, ignore_index=True)[["images", *BY, *PAIR, "value", "value there"]],
        falsifier="For an index that does not depend on the number of images: a bias whose interval does not hold 0. "
        "For one that says something with so few: pairs that do not lie above their null in closed form.",
        effects=tuple(effects),
    )


def _moved(
    both: pd.DataFrame, fewer: Evidence, count: int, most: int
) -> Iterator[tuple[dict[str, Any], list[Effect]]]:
    """Yield how each index moves from `most` to `count` images, as a row of the table and as effects.

    Parameters
    ----------
    both
        The pairs of both runs side by side (`shared`).
    fewer
        The run of `count` images.
    """
    for (by, view), block in both.groupby(BY, sort=False):
        name = f"{by} ({view}), {count} images"
        moved = block.assign(
            bias=block["value"] - block["value there"],
            x=codes(block["likeness"].to_numpy()),
            y=codes(block["likeness there"].to_numpy()),
        )
        bias = mean_of_units(f"value less that of {most} images, mean, {name}", moved, "bias")
        rho = jackknifed(f"Spearman ρ with {most} images, {name}", moved, ["x", "y"], spearman)
        closed, of_closed = _above_closed_null(name, block, most)
        row = {
            "index": f"{by} ({view})",
            "images": count,
            "pairs": len(block),
            "mean": float(block["value"].mean()),
            "bias": bias.value,
            "low": bias.low,
            "high": bias.high,
            "Spearman ρ": rho.value,
            f"p < {SIGNIFICANT:g}": _significant(block),
            "null, mean": _null(fewer, str(by), str(view)),
        }
        known = [bias] if isnan(rho.value) else [bias, rho]
        yield row | closed, known + of_closed


def _comparisons(evidence: Evidence) -> pd.DataFrame:
    rows = numbers(evidence.networks)
    return rows[rows["view"] != ""]


def _significant(block: pd.DataFrame) -> float | None:
    known = block["p_value"].dropna() if "p_value" in block else pd.Series(dtype=float)
    return float((known < SIGNIFICANT).mean()) if len(known) else None


def _above_closed_null(name: str, block: pd.DataFrame, most: int) -> tuple[dict[str, Any], list[Effect]]:
    """Return where pairs lie above the null that is known in closed form, with fewer images and with most.

    In standard deviations of that null, which depends on the images' number and both widths; nothing of an index that
    has no closed form.
    """
    if "effect_size" not in block:
        return {}, []
    known = block.dropna(subset=["effect_size", "effect_size there"])
    if known.empty:
        return {}, []
    found = known.assign(above=(known["effect_size"] > ABOVE).astype(int))
    share = share_of_cases(f"share above the closed-form null, {name}", found, "above")
    row = {
        "effect size": float(known["effect_size"].mean()),
        f"effect size, {most} images": float(known["effect_size there"].mean()),
        "above the null": share.value,
    }
    return row, [share]


def _not_above(fewest: pd.DataFrame, count: int) -> str:
    """Return for the answer how many pairs of which index the closed-form null does not let through; mostly nothing."""
    if "above the null" not in fewest or not (fewest["above the null"] < 1).any():
        return ""
    known = fewest.dropna(subset=["above the null"])
    worst = known.iloc[int(known["above the null"].to_numpy().argmin())]
    return (
        f" With {count} images {100 * (1 - worst['above the null']):.0f} % of the pairs of {worst['index']} are not "
        f"{ABOVE:g} standard deviations above their closed-form null."
    )


def _null(evidence: Evidence, by: str, view: str) -> float | None:
    """Return the mean of an index over layers with themselves permuted; None without such a control."""
    rows = evidence.compared[(pair_kinds(evidence.compared, evidence.facts) == PERMUTED).to_numpy()]
    kept = rows[(rows["index"].astype(str).map(title_of) == by) & (rows["view"].astype(str) == view)]
    return float(kept["value"].mean()) if len(kept) else None


SAMPLES = Study(
    name="samples",
    title="Numbers of images",
    question="How does every index go with the number of images, and where does its null lie?",
    needs=(
        Need(
            "runs over the same models with several numbers of images: `stitchpipe study samples RUN OTHER …`, of the "
            "same sweep with another `limit` in [data]; one run has one number of images",
            finding="images",
            toml="[data]\nlimit = 200    # beside kind; in a copy of the sweep, with another --out",
        ),
    ),
    analysis=lambda evidence: [samples(evidence)],
)
