"""What a trained detector of Balogh and Jelasity (2025) says: the facts of its numbers, and their formulas.

The detector itself, a classifier of representations, is in `stitchpipe.ood.detector`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.native_rows import auroc

if TYPE_CHECKING:
    from stitchpipe.rows import Float64

SANITY_PASS = 0.9
"""The AUROC on another data set's representations from which the sanity check counts as passed."""
BELOW_HALF = 0.1
"""How far below ½ an AUROC lies, at least, that is called one-sided wrong."""
CERTAIN = 3.0
"""And how many of its standard errors under the null."""
FAILED = f"the sanity check failed: below {SANITY_PASS}"
WRONG = "one-sided wrong: the sanity check passed, yet stitched rows look more native than native ones"
"""What a reader is told beside the number; programs look at `warned`."""

DETECTOR = Measure(
    name="ood_detector",
    label="trained detector",
    meaning="A classifier of native representations whose energy was driven apart from that of other images' "
    "representations: |2·AUROC − 1| of its energy for stitched against native test images. One that passes its sanity "
    "check although its AUROC on stitched images is well below ½ is one-sided wrong, and warned of.",
    kind="ood",
    computed_from="stitched_rows",
    range=(0.0, 1.0),
    larger_is_more_similar=False,
    cost="a training for a target, a forward pass for a stitch",
    literature="Balogh and Jelasity 2025; Liu et al. 2020",
)
DETECTOR_AUPR = Measure(
    name="ood_detector_aupr",
    label="detector's AUPR",
    meaning="Area under precision over recall of the trained detector with native images as positives: 1 tells all, "
    "½ nothing.",
    kind="ood",
    computed_from="stitched_rows",
    range=(0.0, 1.0),
    larger_is_more_similar=False,
    cost="O(n·log n)",
    literature="Balogh and Jelasity 2025",
)
DETECTOR_FPR95 = Measure(
    name="ood_detector_fpr95",
    label="detector's FPR95",
    meaning="Share of stitched images that pass the trained detector where 95 % of native ones do: 0 tells all, .95 "
    "nothing.",
    kind="ood",
    computed_from="stitched_rows",
    range=(0.0, 1.0),
    larger_is_more_similar=True,
    cost="O(n·log n)",
    literature="Balogh and Jelasity 2025",
)
DETECTOR_SANITY = Measure(
    name="ood_detector_sanity",
    label="detector's sanity AUROC",
    meaning="AUROC of the trained detector on other images, which it must find foreign: its check passes from .9 on.",
    kind="ood",
    computed_from="stitched_rows",
    range=(0.0, 1.0),
    larger_is_more_similar=None,
    cost="O(n·log n)",
    literature="Balogh and Jelasity 2025",
)
OF_THE_DETECTOR = {
    measure.name: measure for measure in (DETECTOR, DETECTOR_AUPR, DETECTOR_FPR95, DETECTOR_SANITY)
}
"""What a trained detector adds to the results of a stitch, in their order."""


def detector_scores(native: Float64, stitched: Float64, sanity_auroc: float) -> dict[str, Number]:
    """Return what a detector says, from the energies of native and of stitched test images, ``[n]`` each.

    Notes
    -----
    ``ood_detector`` is |2·AUROC − 1|. Beside it stand the AUROC (above ½ where stitched rows have more energy than
    native ones) and ``warned``, which is 1 where the sanity check passes while the AUROC is well below ½: the detector
    works, yet takes stitched rows for more native than native ones. ``aupr`` and ``fpr95`` look at one side only, with
    native rows as the positives: .5 and .95 where nothing is told, 1 and 0 where all is, and worse than nothing where
    the detector is one-sided wrong. Never NaN: ``non_finite``.
    """
    sanity = {DETECTOR_SANITY.name: Number(sanity_auroc)}
    names = (DETECTOR.name, DETECTOR_AUPR.name, DETECTOR_FPR95.name)
    if not np.isfinite(stitched).all():
        reason = "the detector's energy of some stitched representations is not finite"
        return dict.fromkeys(names, Number.missing("non_finite", reason)) | sanity
    area = auroc(native, stitched)
    is_failed = sanity_auroc < SANITY_PASS
    is_warned = not is_failed and one_sided_wrong(area, len(native), len(stitched))
    remark = FAILED if is_failed else WRONG if is_warned else None
    numbers = (
        Number(abs(2.0 * area - 1.0), reason=remark).beside(auroc=area, warned=int(is_warned)),
        Number(aupr(native, stitched)),
        Number(fpr95(native, stitched)),
    )
    return dict(zip(names, numbers, strict=True)) | sanity


def aupr(native: Float64, foreign: Float64) -> float:
    """Return the area under precision over recall (average precision) of native rows as positives, by low energy."""
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - listing measures should not cost a second

    truth = np.repeat([1, 0], [len(native), len(foreign)])
    return float(average_precision_score(truth, -np.concatenate([native, foreign])))


def fpr95(native: Float64, foreign: Float64) -> float:
    """Return the share of foreign rows that pass where the threshold on energy lets at least 95 % of native pass."""
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - listing measures should not cost a second

    truth = np.repeat([1, 0], [len(native), len(foreign)])
    # The thresholds are walked from strict to lax; the first that lets 95 % of native rows pass is the one.
    passed, kept, _ = roc_curve(truth, -np.concatenate([native, foreign]), drop_intermediate=False)
    return float(passed[np.argmax(kept >= 0.95)])


def one_sided_wrong(area: float, native: int, foreign: int) -> bool:
    """Return whether an AUROC lies below ½ by more than .1 and more than three standard errors under the null.

    The standard error of `native` and `foreign` rows that do not differ is √((n + m + 1)/(12·n·m)) (Mann and Whitney
    1947).
    """
    error = float(np.sqrt((native + foreign + 1) / (12.0 * native * foreign)))
    return area < 0.5 - max(BELOW_HALF, CERTAIN * error)
