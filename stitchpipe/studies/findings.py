"""All findings that a table of results supports, in the order of the argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.studies import direct_matching, task_loss
from stitchpipe.studies.distribution import out_of_distribution
from stitchpipe.studies.measures import compares_representations
from stitchpipe.studies.stitches import matrices, stitches

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from stitchpipe.studies.finding import Finding
    from stitchpipe.studies.stitches import LayerOrder


def findings(
    results: pd.DataFrame, layer_order: LayerOrder, *, controls: Collection[str] = ()
) -> list[Finding]:
    """Return what the results say, from them and the order of layers alone.

    Parameters
    ----------
    results
        The catalogue's long form, of one run.
    layer_order
        Every model's layers, from input to output.
    controls
        Models that are no networks, such as random codes: no claim speaks of them, and they are left out.

    Returns
    -------
    list of Finding
        Only those with results behind them; an empty list for an empty table.

    Raises
    ------
    StudyError
        Two numbers for the same thing, or a layer missing from `layer_order`.

    Notes
    -----
    Time O(rows). Every accuracy is relative to the target network's own, on the split that was scored.
    """
    return findings_of(matrices(results), stitches(results, layer_order), layer_order, controls=controls)


def findings_of(
    compared: pd.DataFrame,
    stitched: pd.DataFrame,
    layer_order: LayerOrder,
    *,
    controls: Collection[str] = (),
) -> list[Finding]:
    """Return what comparisons and stitches say that were taken apart already; see `findings`.

    Parameters
    ----------
    compared
        Columns ``index``, ``view``, ``value`` and those of the pair, each number once; names may be categories.
    stitched
        As `stitches` gives it.
    """
    compared, stitched = (
        frame[~(frame["source_model"].isin(controls) | frame["target_model"].isin(controls))]
        for frame in (compared, stitched)
    )
    layer_order = {model: layers for model, layers in layer_order.items() if model not in controls}
    others = {name for name in stitched["objective"].unique() if compares_representations(name)}
    stitched = stitched[(stitched["method"] != "tlm") | ~stitched["objective"].isin(others)]
    answers = (
        task_loss.late_to_early(stitched),
        task_loss.own_layer(stitched),
        task_loss.corresponding_layer(stitched, layer_order),
        direct_matching.own_layer(compared, stitched, layer_order),
        direct_matching.corresponding_layer(compared, stitched, layer_order),
        out_of_distribution(stitched),
        direct_matching.depth(stitched),
        direct_matching.indices(compared, layer_order),
    )
    return [finding for finding in answers if finding is not None]
