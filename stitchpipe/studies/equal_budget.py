"""Task loss matching at an equal budget: how often another layer is at or above the one that ought to be best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from stitchpipe.studies.effect import LEVEL, mean_of_units, share_of_targets
from stitchpipe.studies.finding import Finding, Outcome, fraction
from stitchpipe.studies.measures import ACCURACY, RELATIVE
from stitchpipe.studies.stitches import ACCURACY_ERROR, BUDGET, PAIR

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence

STATED = ["init", "objective", "seed", "steps"]
GROUP = ["source_model", "target_model", "target_layer", *BUDGET]
_IMAGES = "by more than images explain"
_BEYOND = f"TLM: above {_IMAGES}"
_REFERENCE_ERROR = "error of the reference"


def violations(
    block: pd.DataFrame, evidence: Evidence, *, name: str, question: str, reference: str, claim: str
) -> Finding | None:
    """Return how often TLM has another layer at or above a reference; None without such pairs.

    Parameters
    ----------
    block
        The stitches that are asked about, of the evidence's.
    reference
        What the layer of the target's own name is: the layer itself, or the corresponding one.
    """
    both = against_reference(block)
    if both.empty:
        return None
    gain = both["TLM"] - both["TLM reference"]
    judged = both.assign(at_or_above=both["TLM"] >= both["TLM reference"], gain=gain)
    # One pair of layers may have been trained with several budgets, while its direct matching is one number.
    direct = both.dropna(subset=["DM", "DM reference"]).drop_duplicates(PAIR)
    counted = _counted(judged, direct)
    hits = counted["TLM: another layer at or above"]
    of_targets = counted["target layers with another at or above"], counted["target layers"]
    return Finding(
        name=name,
        question=question,
        answer=f"In {fraction(hits, len(both))} comparisons at an equal budget another layer is at or "
        f"above {reference} ({counted['TLM: strictly above']} strictly above, {counted[_BEYOND]} {_IMAGES}), for "
        f"{fraction(*of_targets)} target layers.{_beside_dm(counted)}",
        claim=claim,
        outcome=existence(hits, len(both)),
        criterion=f"Another layer at or above {reference}, same initialisation, seed and steps: as claimed if in "
        "at least half of the comparisons, partly if in any.",
        numbers=counted,
        table=pd.DataFrame([_counts("TLM", both, "TLM"), _counts("DM", direct, "DM")]),
        detail=_cases(judged),
        falsifier=f"Every other layer below {reference} at the same budget: 0 of {len(both)} comparisons at or above, "
        f"where there are {hits}.",
        effects=(
            share_of_targets("share of target layers with another layer at or above", judged, "at_or_above"),
            mean_of_units(f"relative accuracy above that of {reference}, mean", judged, "gain"),
        ),
        left_out=evidence.left_out,
    )


def _counted(judged: pd.DataFrame, direct: pd.DataFrame) -> dict[str, int]:
    """Return how often another layer is at or above the reference, by task loss and by direct matching."""
    targets = ["target_model", "target_layer"]
    return {
        "comparisons at an equal budget": len(judged),
        "TLM: another layer at or above": int(judged["at_or_above"].sum()),
        "TLM: strictly above": int((judged["TLM"] > judged["TLM reference"]).sum()),
        _BEYOND: int(judged[_IMAGES].sum()),
        "target layers": judged.groupby(targets).ngroups,
        "target layers with another at or above": judged[judged["at_or_above"]].groupby(targets).ngroups,
        "DM: pairs of layers": len(direct),
        "DM: another layer at or above": int((direct["DM"] >= direct["DM reference"]).sum()),
    }


def _beside_dm(counted: dict[str, int]) -> str:
    """Return the sentence on direct matching of the same pairs; nothing where none was matched."""
    pairs = counted["DM: pairs of layers"]
    if not pairs:
        return ""
    hits = fraction(counted["DM: another layer at or above"], pairs)
    return f" Direct matching does so in {hits} of the same pairs of layers."


def existence(holds: int, cases: int) -> Outcome:
    """Return the outcome of a claim that something can happen and often does."""
    if 2 * holds >= cases:
        return "as claimed"
    return "partly" if holds else "not as claimed"


def beside(stitched: pd.DataFrame) -> pd.DataFrame:
    """Return every TLM stitch beside the direct matching of the same pair, where both have a number.

    Columns of `stitches`, with ``TLM`` and ``DM`` (relative accuracy) and the pair as ``source``, ``target``.
    """
    known = stitched.dropna(subset=[RELATIVE])
    direct = known[known["method"] == "dm"][[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM"})
    trained = known[known["method"] == "tlm"].rename(columns={RELATIVE: "TLM"})
    return with_ends(trained.merge(direct, on=PAIR))


def with_ends(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with both ends of their pair as ``MODEL/LAYER``, in the columns ``source`` and ``target``."""
    ends = {side: rows[f"{side}_model"] + "/" + rows[f"{side}_layer"] for side in ("source", "target")}
    return rows.assign(**ends)


def against_reference(block: pd.DataFrame) -> pd.DataFrame:
    """Return every TLM stitch of another layer beside the reference layer's at the same budget, and DM's of both."""
    known = block.dropna(subset=[RELATIVE])
    trained, direct = (known[known["method"] == method] for method in ("tlm", "dm"))
    # The reference is the stitch of the layer of the target's own name, trained with the same budget.
    same = trained["source_layer"] == trained["target_layer"]
    renamed = {
        RELATIVE: "TLM reference",
        ACCURACY: "accuracy of the reference",
        ACCURACY_ERROR: _REFERENCE_ERROR,
    }
    known_of = [name for name in renamed if name in trained]
    reference = trained[same][[*GROUP, *known_of]].rename(columns=renamed)
    both = trained[~same].rename(columns={RELATIVE: "TLM"}).merge(reference, on=GROUP)
    both = both.merge(direct[[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM"}), on=PAIR, how="left")
    ground = direct[direct["source_layer"] == direct["target_layer"]]
    ground = ground[[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM reference"}).drop(columns="source_layer")
    both = both.merge(ground, on=["source_model", "target_model", "target_layer"], how="left")
    return with_ends(both.assign(**{_IMAGES: _is_beyond_images(both)}))


def _is_beyond_images(both: pd.DataFrame) -> pd.Series:
    """Return whether an accuracy is above the reference's by more than two sets of as many images differ by chance.

    The two are taken on the same images, so that the rule is on the careful side. Where images belong together, it is
    two sets of as many groups.
    """
    first, second, n = both[ACCURACY], both["accuracy of the reference"], both["n_samples"].astype(float)
    variances = []
    for accuracy, column in ((first, ACCURACY_ERROR), (second, _REFERENCE_ERROR)):
        of_images = accuracy * (1 - accuracy) / n
        variances.append((both[column] ** 2).fillna(of_images) if column in both else of_images)
    error = np.sqrt(variances[0] + variances[1])
    beyond: pd.Series = first - second > float(norm.ppf((1 + LEVEL) / 2)) * error
    return beyond.astype(bool)


def _cases(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons, violations first and the largest of them on top."""
    columns = ["source", "target", *STATED, "TLM", "TLM reference", "gain", _IMAGES, "DM", "DM reference"]
    ordered = judged.sort_values("gain", ascending=False, kind="stable")
    return ordered[columns].reset_index(drop=True)


def _counts(label: str, rows: pd.DataFrame, method: str) -> dict[str, object]:
    gain = rows[method] - rows[f"{method} reference"]
    return {
        "method": label,
        "comparisons": len(rows),
        "another at or above": int((gain >= 0).sum()),
        "strictly above": int((gain > 0).sum()),
        "median difference": gain.median(),
        "largest difference": gain.max(),
    }
