"""What task loss matching says about similarity: order violations, and late layers in early places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from stitchpipe.studies.finding import SOURCE, Finding, Outcome, fraction
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.stitches import BUDGET, PAIR, comparable

if TYPE_CHECKING:
    from stitchpipe.studies.stitches import LayerOrder

STATED = ["init", "objective", "seed", "steps"]
GROUP = ["source_model", "target_model", "target_layer", *BUDGET]


def own_layer(stitched: pd.DataFrame) -> Finding | None:
    """Answer how often TLM rates another layer at or above the layer itself; None without such pairs."""
    within = stitched[stitched["source_model"] == stitched["target_model"]]
    return _violations(
        within,
        name="tlm-own-layer",
        question="Does task loss matching rank another layer of the same network at or above the layer itself?",
        reference="the layer itself",
        claim="Within one network task loss matching often rates another layer as more similar to a layer "
        f"than itself ({SOURCE}).",
    )


def corresponding_layer(stitched: pd.DataFrame, layer_order: LayerOrder) -> Finding | None:
    """Answer how often TLM rates another layer at or above the corresponding one; None without such pairs."""
    pairs = zip(stitched["source_model"], stitched["target_model"], strict=True)
    across = stitched[
        pd.Series([comparable(layer_order, s, t) for s, t in pairs], stitched.index, dtype=bool)
    ]
    return _violations(
        across,
        name="tlm-corresponding-layer",
        question="Does task loss matching rank a distant layer of another network at or above the corresponding one?",
        reference="the corresponding layer",
        claim="Task loss matching can rate very distant layers above architecturally corresponding ones "
        f"({SOURCE}).",
    )


def late_to_early(stitched: pd.DataFrame) -> Finding | None:
    """Answer what TLM and DM make of late → early stitches; None without pairs that have both."""
    both = beside(stitched)
    late = both[both["kind"] == "late → early"]
    if late.empty:
        return None
    tlm, dm = late["TLM"], late["DM"]
    above = int((tlm > dm).sum())
    return Finding(
        name="late-to-early",
        question="Does a late layer stitch into an early place?",
        answer=f"With task loss matching, relative accuracy is {tlm.median():.3f} in the median "
        f"({tlm.min():.3f} to {tlm.max():.3f}); with direct matching on the same pairs {dm.median():.3f} "
        f"({dm.min():.3f} to {dm.max():.3f}). Task loss matching is higher in {fraction(above, len(late))} stitches.",
        claim="Task loss matching gives high similarity between distant layers of different function "
        f"({SOURCE}), especially when the sender is later than the receiver (Hernandez et al. 2023).",
        outcome=_existence(above, len(late)),
        criterion="Task loss matching above direct matching: as claimed if in at least half of the stitches, "
        "partly if in any.",
        numbers={
            "late → early stitches": len(late),
            "TLM above DM": above,
            "TLM relative accuracy, median": float(tlm.median()),
            "DM relative accuracy, median": float(dm.median()),
        },
        table=pd.DataFrame(
            [
                {
                    "relative accuracy": method,
                    "lowest": accuracies.min(),
                    "median": accuracies.median(),
                    "highest": accuracies.max(),
                }
                for method, accuracies in (("TLM", tlm), ("DM", dm))
            ]
        ),
        detail=late[["source", "target", *STATED, "final_loss", "TLM", "DM"]],
    )


def beside(stitched: pd.DataFrame) -> pd.DataFrame:
    """Return every TLM stitch beside the direct matching of the same pair, where both have a number.

    Columns of `stitches`, with ``TLM`` and ``DM`` (relative accuracy) and the pair as ``source``, ``target``.
    """
    known = stitched.dropna(subset=[RELATIVE])
    direct = known[known["method"] == "dm"][[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM"})
    trained = known[known["method"] == "tlm"].rename(columns={RELATIVE: "TLM"})
    both = trained.merge(direct, on=PAIR)
    both["source"] = both["source_model"] + "/" + both["source_layer"]
    both["target"] = both["target_model"] + "/" + both["target_layer"]
    return both


def _violations(
    block: pd.DataFrame, *, name: str, question: str, reference: str, claim: str
) -> Finding | None:
    both = _against_reference(block)
    if both.empty:
        return None
    at_or_above, above = both[both["TLM"] >= both["TLM reference"]], both[both["TLM"] > both["TLM reference"]]
    targets = both.groupby(["target_model", "target_layer"]).ngroups
    hit = at_or_above.groupby(["target_model", "target_layer"]).ngroups
    # One pair of layers may have been trained with several budgets, while its direct matching is one
    # number.
    direct = both.dropna(subset=["DM", "DM reference"]).drop_duplicates(PAIR)
    dm_hits = int((direct["DM"] >= direct["DM reference"]).sum())
    beside_dm = (
        f" Direct matching does so in {fraction(dm_hits, len(direct))} of the same pairs of layers."
        if len(direct)
        else ""
    )
    return Finding(
        name=name,
        question=question,
        answer=f"In {fraction(len(at_or_above), len(both))} comparisons at an equal budget another layer is at or "
        f"above {reference} ({len(above)} strictly above), for {fraction(hit, targets)} target layers.{beside_dm}",
        claim=claim,
        outcome=_existence(len(at_or_above), len(both)),
        criterion=f"Another layer at or above {reference}, same initialisation, seed and steps: as claimed if in "
        "at least half of the comparisons, partly if in any.",
        numbers={
            "comparisons at an equal budget": len(both),
            "TLM: another layer at or above": len(at_or_above),
            "TLM: strictly above": len(above),
            "target layers": targets,
            "target layers with another at or above": hit,
            "DM: pairs of layers": len(direct),
            "DM: another layer at or above": dm_hits,
        },
        table=pd.DataFrame(
            [
                _counts("TLM", both, "TLM"),
                _counts("DM", direct, "DM"),
            ]
        ),
        detail=both[["source", "target", *STATED, "TLM", "TLM reference", "DM", "DM reference"]].reset_index(
            drop=True
        ),
    )


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


def _against_reference(block: pd.DataFrame) -> pd.DataFrame:
    """Return every TLM stitch of another layer beside the reference layer's at the same budget, and DM's of both."""
    known = block.dropna(subset=[RELATIVE])
    trained, direct = (known[known["method"] == method] for method in ("tlm", "dm"))
    # The reference is the stitch of the layer of the target's own name, trained with the same budget.
    same = trained["source_layer"] == trained["target_layer"]
    reference = trained[same][[*GROUP, RELATIVE]].rename(columns={RELATIVE: "TLM reference"})
    both = trained[~same].rename(columns={RELATIVE: "TLM"}).merge(reference, on=GROUP)
    both = both.merge(direct[[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM"}), on=PAIR, how="left")
    ground = direct[direct["source_layer"] == direct["target_layer"]]
    ground = ground[[*PAIR, RELATIVE]].rename(columns={RELATIVE: "DM reference"}).drop(columns="source_layer")
    both = both.merge(ground, on=["source_model", "target_model", "target_layer"], how="left")
    both["source"] = both["source_model"] + "/" + both["source_layer"]
    both["target"] = both["target_model"] + "/" + both["target_layer"]
    return both


def _existence(holds: int, cases: int) -> Outcome:
    """Return the outcome of a claim that something can happen and often does."""
    if 2 * holds >= cases:
        return "as claimed"
    return "partly" if holds else "not as claimed"
