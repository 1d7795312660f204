"""The fifth step: every declared stitch into one target layer, trained from the store, judged on the test split.

Neither a source network nor the target's head is run: activations and labels come from the store, and only the
target's tail is built. Each stitch is a part of its own in the results; a training that is killed goes on where it was.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from stitchpipe.config import ConfigError
from stitchpipe.run.names import LayerName
from stitchpipe.run.run_keys import stitch_key
from stitchpipe.run.stitches import ends_of
from stitchpipe.steps.progress import Report, silent
from stitchpipe.steps.stitching.target_network import TargetNetwork
from stitchpipe.stitching import StitchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.run import PlannedStitch, Run
    from stitchpipe.run.activations import StoredEnd


def stitch(run: Run, model: str, layer: str, *, report: Report = silent) -> dict[str, Any]:
    """Make every declared stitch into ``model/layer`` that has no results yet.

    `report` counts optimiser steps, a stitch without training as one, behind the epochs of the target's detector where
    one is declared.

    Raises
    ------
    ConfigError
        Something was not dumped, or the target's weights are missing.
    stitchpipe.models.OtherWeightsError
        The target's weights are not those that its activations were dumped with.
    StitchError
        Labels are missing or do not fit, or the splits share samples.
    stitchpipe.stitching.UnfittedError
        The direct maps were not fitted yet.
    storage.StoreError
        Something stored is damaged.
    """
    target = LayerName(model, layer)
    declared = [planned for planned in run.stitches if planned.target == target]
    if not declared:
        raise ConfigError(
            where=f"sweep '{run.sweep.name}'",
            expected="a target layer of its stitches",
            found=f"{target}",
            remedy="Declare a stitch into it.",
        )
    ends = run.stored_activations().ends(ends_of(declared))
    _check_disjoint(ends[target])
    keys = {planned: stitch_key(run, planned, ends) for planned in declared}
    there = set(run.results.keys())
    missing = [planned for planned in declared if keys[planned] not in there]
    warnings = 0
    if missing:
        run.fix_threads()
        warnings = _make(TargetNetwork.open(run, ends, target, keys), declared, missing, report)
    else:
        report(1, 1)
    return {"target": str(target), "stitches": len(declared), "made": len(missing), "warnings": warnings}


def _make(
    network: TargetNetwork,
    declared: Sequence[PlannedStitch],
    missing: Sequence[PlannedStitch],
    report: Report,
) -> int:
    """Make the stitches that are missing, and keep the results of each; return of how many the detector warned."""
    run, distribution, warnings = network.run, network.judge.distribution, 0
    # Progress is counted in optimiser steps; a stitch that is only fitted counts as one.
    size = {planned: 1 if planned.budget is None else planned.budget.steps for planned in declared}
    total = distribution.epochs + sum(size.values())
    kept = sum(size[planned] for planned in declared if planned not in missing)
    report(kept, total)
    distribution.prepare(lambda epoch: report(kept + epoch, total))
    done = kept + distribution.epochs
    for group in network.groups(missing):
        for planned, results in network.made(group, partial(_tell, report, done, total)):
            run.results.write(network.keys[planned], results)
            # The state goes only after the results are written, so that a training that is killed in
            # between is not begun anew.
            network.state(planned).forget()
            warnings += distribution.warn(planned.source, results)
        done += sum(size[planned] for planned, _ in group)
        report(done, total)
    return warnings


def _tell(report: Report, before: int, total: int, steps: int) -> None:
    report(before + steps, total)


def _check_disjoint(end: StoredEnd) -> None:
    """Refuse splits that share samples: a map must not be scored on rows that it was fitted on."""
    shared = set(end.train.split.sample_ids) & set(end.test.split.sample_ids)
    if shared:
        raise StitchError(
            where=f"splits of {end.name}",
            expected="a test split that shares no sample with the training split",
            found=f"{len(shared)} samples in both, for example '{min(shared)}'",
            remedy="Cut the data set anew: a map must not be scored on rows that it was fitted on.",
        )
