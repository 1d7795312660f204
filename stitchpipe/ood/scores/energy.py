"""The energy of logits (Liu et al. 2020): what a classifier itself finds foreign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.errors import OodError
from stitchpipe.ood.native_rows import two_sided
from stitchpipe.ood.score import Fitted, Native, Score, Stitched

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.rows import Float64


NO_LOGITS = Number.missing("not_applicable", "no logits were given")


def energy(logits: npt.NDArray[np.floating]) -> Float64:
    """Return E = −log Σ_c exp(logit_c) of each row of ``[n, classes]``, in float64; O(n·classes)."""
    from scipy.special import logsumexp  # noqa: PLC0415 - a quarter of a second, which no query should cost

    return np.asarray(-logsumexp(np.asarray(logits, dtype=np.float64), axis=1), dtype=np.float64)


def energy_score(native: npt.NDArray[np.floating], stitched: npt.NDArray[np.floating]) -> Number:
    """Return |2·AUROC − 1| of the energies of stitched against native logits of the same test images.

    Both are logits of the target network; its energies are all that is looked at, so that this needs neither its
    activations nor a fit.

    Raises
    ------
    OodError
        The two have other shapes, or native logits are not finite.

    Notes
    -----
    Never NaN: ``non_finite`` for stitched logits that are not, ``constant`` where native energies do not vary.
    """
    if native.ndim != 2 or native.shape != stitched.shape or not len(native):
        raise OodError(
            where="energy of stitched logits",
            expected="logits [n, classes] of the same images and classes, native and stitched",
            found=f"shapes {native.shape} and {stitched.shape}",
            remedy="Take both from the target network, on the same split.",
        )
    known = energy(native)
    if not np.isfinite(known).all():
        raise OodError(
            where="energy of native logits",
            expected="finite values",
            found="others",
            remedy="Dump the target network anew.",
        )
    if known.min() == known.max():
        return Number.missing("constant", "the energy of the target network's own logits does not vary")
    foreign = energy(stitched)
    if not np.isfinite(foreign).all():
        return Number.missing("non_finite", "the energy of some stitched logits is not finite")
    return two_sided(known, foreign)


def fit(native: Native) -> Fitted:
    """Return the score of the energy of a stitch's logits."""
    own = native.logits

    def score(stitched: Stitched) -> Number:
        return NO_LOGITS if own is None or stitched.logits is None else energy_score(own, stitched.logits)

    return score


ENERGY = Score(
    measure=Measure(
        name="ood_energy",
        label="energy of logits",
        meaning="How well −logsumexp of the target network's logits tells stitched from native test images: "
        "|2·AUROC − 1|, 0 not at all, 1 perfectly, in either direction. It looks through everything behind the layer.",
        kind="ood",
        computed_from="stitched_logits",
        range=(0.0, 1.0),
        larger_is_more_similar=False,
        cost="O(n·classes)",
        literature="Liu et al. 2020",
    ),
    fit=fit,
)
