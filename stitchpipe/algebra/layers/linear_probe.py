"""A linear probe: how well the classes can be told from a layer by a linear classifier."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.certainty.grouped_share import share_error, too_few
from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.algebra.layer_measure import LabelledRows, LayerContents, LayerMeasure, LayerValue, rows_of
from stitchpipe.measures import Measure, Parameter

if TYPE_CHECKING:
    import numpy.typing as npt

    Float64 = npt.NDArray[np.float64]

STRENGTH: Final = 1.0
"""What the summed loss is multiplied by, beside half of the squared weights."""
MOST_STEPS: Final = 2000


def linear_probe(
    train: LabelledRows, scored: LabelledRows, *, strength: float = STRENGTH
) -> tuple[float, bool]:
    """Return the share of `scored` rows whose class a multinomial logistic regression tells, and whether it converged.

    It minimises C·Σ loss + ½‖W‖² over the `train` rows; features are standardised by their mean and deviation there,
    and those that do not vary there are left out. Nothing is chosen on the scored rows.

    Raises
    ------
    UndefinedIndexError
        ``constant``: no feature varies; ``one_class``: the training rows are of one class.

    Notes
    -----
    Time O(steps·n·p·classes), some hundred steps of L-BFGS from zero: the same numbers on every machine up to rounding.
    A class that is not among the training rows is never told. Alain and Bengio 2017.
    """
    is_right, converged = probed(train, scored, strength=strength)
    return float(np.mean(is_right)), converged


def probed(
    train: LabelledRows, scored: LabelledRows, *, strength: float = STRENGTH
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Return the same image by image: of which the class is told rightly ``[n]``."""
    scale = Scale.of(train.rows)
    fitted, asked = (LabelledRows(scale.of_rows(side.rows), side.labels) for side in (train, scored))
    return told_classes(fitted, asked, strength=strength)


@dataclass(frozen=True, eq=False)
class Scale:
    """What features are standardised by: their mean and deviation ``[p]``, of those that vary (``[p]``, truths)."""

    mean: Float64
    deviation: Float64
    vary: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Float64) -> Scale:
        """Take it from rows ``[n, p]``; UndefinedIndexError (``constant``) where no feature varies."""
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        vary = deviation > 8.0 * np.finfo(np.float64).eps * np.abs(mean)
        if not vary.any():
            raise _undefined(
                "constant", "a layer with features that vary over the training images", "none that does"
            )
        return cls(mean, deviation, vary)

    def of_rows(self, rows: Float64) -> Float64:
        """Return rows standardised, without the features that do not vary."""
        return (rows[:, self.vary] - self.mean[self.vary]) / self.deviation[self.vary]


def told_classes(
    fitted: LabelledRows, asked: LabelledRows, *, strength: float = STRENGTH
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Return of which rows the class is told rightly ``[n]``, and whether the fit converged; rows as they are given.

    UndefinedIndexError (``one_class``) where the fitted rows are of one class.
    """
    # A second of imports that only whoever probes should pay.
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if len(np.unique(fitted.labels)) < 2:
        raise _undefined("one_class", "training images of at least two classes", "one class")
    probe = LogisticRegression(C=strength, max_iter=MOST_STEPS, tol=1e-4)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", ConvergenceWarning)
        probe.fit(fitted.rows, fitted.labels)
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in raised)
    return np.asarray(probe.predict(asked.rows) == asked.labels, np.bool_), converged


def _undefined(status: str, expected: str, found: str) -> UndefinedIndexError:
    remedy = "Leave this layer out, or use other images."
    return UndefinedIndexError(
        status=status, where="linear_probe", expected=expected, found=found, remedy=remedy
    )


def _of_layer(contents: LayerContents, measure: Measure) -> LayerValue:
    rows = rows_of(contents, measure.name)
    if contents.train is None or contents.labels is None:
        raise AlgebraError(
            where=measure.name,
            expected="labels of the training images and of those that are scored",
            found="none",
            remedy="Leave the probe out, or use data with labels.",
        )
    strength = measure.parameter.value if measure.parameter else STRENGTH
    is_right, converged = probed(contents.train, LabelledRows(rows, contents.labels), strength=strength)
    error = share_error(is_right, contents.groups)
    said = [] if converged else [f"the fit had not converged after {MOST_STEPS} steps"]
    said += [too_few("standard error")] if error is None else []
    return LayerValue(float(np.mean(is_right)), error, "; ".join(said) or None)


LINEAR_PROBE = LayerMeasure(
    Measure(
        name="linear_probe",
        label="Linear probe, accuracy",
        meaning="Share of the test images whose class a multinomial logistic regression tells, fitted on the training "
        "images. The standard error is of the test images alone, or of their groups; the probe is fitted once.",
        kind="layer",
        computed_from="labelled_images",
        range=(0.0, 1.0),
        larger_is_more_similar=None,
        independent_rows=True,
        parameter=Parameter(
            symbol="C",
            meaning="what the summed loss is multiplied by, beside half of the squared weights",
            value=STRENGTH,
            largest=inf,
            label="C = {:g}",
        ),
        cost="O(steps·n·p·classes)",
        literature="Alain and Bengio 2017",
    ),
    _of_layer,
)
