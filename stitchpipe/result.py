"""One number and everything that is needed to know what it is. Light: workers build records with it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from stitchpipe.errors import ExplainedError

OK = "ok"
"""The status of a record that holds a number."""


class ResultError(ExplainedError, ValueError):
    """A record contradicts itself: a number without status ok, or the other way round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One number, always directed, with everything that is needed to know what it is.

    ``status`` is ``ok``, or names why there is no number; then ``value`` is None and ``reason`` says more.
    Beside a number ``reason`` may hold a remark.

    Attributes
    ----------
    index, value, status, reason
        What was computed: a name of the registry of indices, ``stitch_*`` or ``ood_*``; unit and range are
        the index's own.
    view, grid
        How rows were made: ``positions`` or ``pooled``, and ``"8x8"``.
    fit_split, split
        Where a map was fitted (None: nothing was), and where the number was taken.
    n_samples, n_rows, p, q
        Images, rows of the view, features of source and target.
    rank, condition
        Of the directions that the number rests on, where something was inverted.
    low, high
        A 95 % interval: jackknife over groups of images, the fit of a map held fixed.
    p_value, calibrated, null_samples
        Against permuted images: the share of permutations that reach the number, where the number stands between
        the null's 95 % point (0) and its maximum (1), and on how many images.
    key
        Digest of everything a comparison's number depends on but its index; the same for all indices of a pair.
    method, init, objective, seed, steps, final_loss
        Of a stitch: ``dm``, ``dm_ridge(0.1)`` and the like, or ``tlm``, and how the latter was trained.
    batch_size, learning_rate, weight_decay, augmented, precision
        Of a training: the rest of its budget, augmented passes over the images (0: the images as they are), and
        ``float32`` or ``bfloat16``, ``compiled`` where the tail was.
    source_digest, target_digest
        Content digests of the two representations on `split`; ``identity:…`` of one that was never stored.

    Raises
    ------
    ResultError
        A finite `value` with another status than ok, none with ok, a number that is NaN or infinite, or a
        count that cannot be.
    """

    index: str
    value: float | None
    status: str = OK
    reason: str | None = None
    view: str
    grid: str
    source_model: str
    source_layer: str
    target_model: str
    target_layer: str
    fit_split: str | None = None
    split: str
    n_samples: int
    n_rows: int
    p: int
    q: int
    rank: int | None = None
    condition: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    calibrated: float | None = None
    null_samples: int | None = None
    method: str | None = None
    init: str | None = None
    objective: str | None = None
    seed: int | None = None
    steps: int | None = None
    final_loss: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    augmented: int | None = None
    precision: str | None = None
    source_digest: str
    target_digest: str
    key: str | None = None

    def __post_init__(self) -> None:
        for name in ("value", "condition", "low", "high", "p_value", "calibrated", "final_loss"):
            number = getattr(self, name)
            if number is not None and not isfinite(number):
                remedy = "Record a status that says why there is no number, and None."
                raise self._refused(name, "a finite number or None", str(number), remedy)
        if (self.status == OK) != (self.value is not None):
            expected = "a number" if self.status == OK else "no number"
            remedy = "Give a number with status 'ok', or None with the status that says why."
            raise self._refused("value", f"{expected} with status '{self.status}'", str(self.value), remedy)
        for name in ("n_samples", "n_rows", "p", "q"):
            if getattr(self, name) < 0:
                raise self._refused(name, "a count", str(getattr(self, name)), "Pass the number of rows.")

    def _refused(self, field: str, expected: str, found: str, remedy: str) -> ResultError:
        pair = f"{self.source_model}/{self.source_layer} -> {self.target_model}/{self.target_layer}"
        return ResultError(
            where=f"{self.index} of {pair}, {field}", expected=expected, found=found, remedy=remedy
        )
