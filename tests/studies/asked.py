"""One study asked of made-up results, and numbers of them exchanged: what its tests share."""

from __future__ import annotations

from stitchpipe.studies import study_named
from tests import synthetic_results as synthetic

RELATIVE = "stitch_relative_accuracy"


def found(study, results, order=synthetic.ORDER, **facts):
    """Return the findings of a study by their names."""
    answer = study_named(study).answer(synthetic.evidence(results, order, **facts))
    return {finding.name: finding for finding in answer.findings}


def rows(results, *, source, target, method, index=RELATIVE, init=None):
    """Return where the results hold one stitch's number."""
    hit = (results["index"] == index) & (results["method"] == method)
    for side, (model, layer) in (("source", source), ("target", target)):
        hit &= (results[f"{side}_model"] == model) & (results[f"{side}_layer"] == layer)
    if init is not None:
        hit &= results["init"] == init
    return results.index[hit]


def swapped(results, first, second):
    """Return a copy in which two numbers have changed places."""
    assert len(first) == len(second) == 1
    changed = results.copy()
    changed.loc[[*first, *second], "value"] = results.loc[[*second, *first], "value"].to_numpy()
    return changed
