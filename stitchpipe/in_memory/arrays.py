"""Arrays in memory: all ordered pairs of them, a labelled data frame back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra import RowsError
from stitchpipe.in_memory.frames import frame_of
from stitchpipe.in_memory.intervals import groups_of, with_intervals
from stitchpipe.in_memory.over_images import OverImages
from stitchpipe.in_memory.pairs import Numbers, Pair, both_directions
from stitchpipe.in_memory.progress import telling
from stitchpipe.in_memory.sample_groups import SampleGroups
from stitchpipe.in_memory.summaries import ArraySummaries, HeldOutSummaries
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from stitchpipe.algebra import Index, Products
    from stitchpipe.in_memory.progress import Tell
    from stitchpipe.in_memory.samples import Samples
    from stitchpipe.rows import View

DEFAULT_INDICES: Final = ("cka", "procrustes", "dm_r2")
CLOSED: Final = ("effect_size", "null_mean", "p_closed", "null_moments", "null_gap")
"""What stands beside a number of a null in closed form."""
LIMITS: Final = ("low", "high", "corrected")
"""What stands beside a number with an interval."""


def compare_arrays(  # noqa: PLR0913  (keyword-only beyond the representations)
    representations: Mapping[str, Any],
    *,
    indices: Sequence[str] = DEFAULT_INDICES,
    view: View | None = None,
    fit: Mapping[str, Any] | None = None,
    products: Products = "float64",
    intervals: bool = False,
    permutations: int = 0,
    groups: Sequence[Any] | None = None,
    progress: bool | Tell = False,
) -> pd.DataFrame:
    """Compare every ordered pair of representations held in memory, self-pairs included.

    Parameters
    ----------
    representations
        Name → array of NumPy, torch, or anything `numpy.asarray` takes; first axis = the same samples in the
        same order. ``(n, D)``, ``(n, T, D)`` or ``(n, C, H, W)``. Rows of pandas and xarray objects are paired by their
        labels, see `stitchpipe.in_memory.sample_labels.paired_by_label`.
    indices
        Names as `stitchpipe indices` lists them; a parameter in parentheses: ``gulp(0.1)``. Those over samples
        (``rsa``, ``mutual_knn``, ``cka_rbf``) rest on at most 2,000 of them, a seeded choice. ``agreement`` takes
        representations for logits.
    view
        How samples become rows: ``positions``, ``pooled`` or ``flatten``. Required unless all arrays are
        two-dimensional, whose rows are taken as they are (``as_given``). Where spatial sizes differ the
        source is resized to the target's under ``positions``; under ``flatten`` widths may differ as they are.
    fit
        The same names on other samples: ``dm_…`` indices then score maps fitted there. Without it
        maps are fitted on the very rows they are scored on, which flatters them; the column ``fit`` says
        ``held_out`` or ``in_sample``.
    products
        ``float64``, or ``float32``: rows are then multiplied in float32, and a few thousand of them at a time summed up
        in float64. About twice as fast for many rows, and right to some 1e-8 where nothing is inverted.
    intervals
        Give 95 % intervals (``low``, ``high``) of indices of moments that have one, and the number less its bias
        (``corrected``): a jackknife over 20 random groups of samples, which takes about 20 times as long.
    permutations
        How many permutations of the samples p-values rest on (``p_value``, ``calibrated``), where an index has a null
        and the view one row for each sample; 200 resolve them down to .005. 0 for none. CKA has an ``effect_size`` and
        a ``p_closed`` without them.
    groups
        A name or number for each sample, in the order of the first representation, of what it belongs to: a subject,
        the image that it is a copy of. Intervals leave out whole groups then, permutations exchange whole groups with
        others of their size, nulls in closed form are not given. ``reason`` says what is missing beside a number.
    progress
        True for a line that says how far it is, or a function that is told how many pairs are done, and of how many.

    Returns
    -------
    pandas.DataFrame
        One row per number, with the columns `stitchpipe.in_memory.COLUMNS`. Where an index has no value, ``value`` is
        missing and ``status`` and ``reason`` say why.

    Raises
    ------
    UnknownNameError
        A name that is no index.
    RowsError
        Empty input, different sample counts or labels, NaN or infinite entries, `fit` of other names or shapes; not one
        of `groups` for each sample.
    ViewError
        A view is needed and none was given, or an array has no such view.

    Notes
    -----
    For L representations O(n·p²) each and O(n·p·q) a pair, beside what the indices cost (`stitchpipe indices`): no more
    than the plain functions of `stitchpipe.algebra` take for each of them. Either direction of a pair takes the same
    product, but under ``positions`` where the grids differ. Rows wider than n + 1 are brought to n + 1 coordinates in
    O(n²·p) once, after which n takes the place of p and q. Memory O(n·p) each, in the type of `products`.
    """
    chosen = tuple(index_named(name) for name in dict.fromkeys(indices))
    scored = ArraySummaries(representations, view, where="representations", products=products)
    held_out = None
    if fit is not None:
        fitted_on = ArraySummaries(fit, view, where="fit", products=products)
        _check_same_layers(scored.samples, fitted_on.samples)
        held_out = HeldOutSummaries(scored, fitted_on)
    together = SampleGroups.of(groups, len(next(iter(scored.samples.values()))))
    asked = _Asked(chosen, fitted_on if fit is not None else None, intervals, permutations, together)
    with telling(progress, "pairs of representations") as tell:
        numbers = asked.numbers(scored, held_out, tell)
    fitted = "in_sample" if held_out is None else "held_out"
    return frame_of(numbers, scored, chosen, fit=fitted, images=OverImages(scored, groups=together).n)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked of representations."""

    indices: tuple[Index, ...]
    fitted_on: ArraySummaries | None
    intervals: bool
    permutations: int
    together: SampleGroups | None

    def numbers(self, scored: ArraySummaries, held_out: HeldOutSummaries | None, tell: Tell) -> Numbers:
        """Return all numbers of all ordered pairs, with what was asked for beside them."""
        of_moments = tuple(index for index in self.indices if index.measure.computed_from == "moments")
        n = len(next(iter(scored.samples.values())))
        groups = groups_of(n, self.together) if self.intervals and of_moments else []
        count = _counting(tell, scored, 1 + len(groups))
        numbers = _of_moments(scored, held_out, of_moments, count) if of_moments else {}
        if groups:
            everything = np.arange(sum(map(len, groups)))
            without = []
            for group in groups:
                part = scored.of_samples(np.setdiff1d(everything, group))
                fitted = None if self.fitted_on is None else HeldOutSummaries(part, self.fitted_on)
                without.append(_of_moments(part, fitted, of_moments, count))
            by_name = {index.name: index for index in of_moments}
            numbers = with_intervals(numbers, without, list(map(len, groups)), by_name)
        over = OverImages(scored, self.permutations, self.together)
        for key, beside in over.p_values(of_moments).items():
            if numbers[key].value is not None and beside.value is not None:
                numbers[key] = numbers[key].beside(**beside.extras)
        for index in self.indices:
            if index not in of_moments:
                numbers |= over.numbers(index)
        return numbers if over.exchanged is None else self._in_groups(numbers, scored, over.exchanged)

    def _in_groups(self, numbers: Numbers, scored: ArraySummaries, exchanged: SampleGroups) -> Numbers:
        """Return numbers without what takes each sample for one of its own, with a remark of what is missing."""
        by_name = {index.name: index for index in self.indices}
        kept: Numbers = {}
        for key, number in numbers.items():
            measure, unsaid, said = by_name[key[2]].measure, set(CLOSED), [number.reason]
            if scored.view != "positions":
                said += exchanged.together.no_null(measure, permuted=self.permutations > 0)
            is_of_moments = measure.computed_from == "moments" and number.value is not None
            if self.together is not None and self.intervals and is_of_moments:
                p, q = (scored.width(name) for name in key[:2])
                unlimited = self.together.together.no_limits(measure, p, q)
                unsaid |= set(LIMITS) if unlimited else set()
                said += unlimited
            extras = {name: told for name, told in number.extras.items() if name not in unsaid}
            kept[key] = replace(number, extras=extras, reason="; ".join(filter(None, said)) or None)
        return kept


def _counting(tell: Tell, scored: ArraySummaries, times: int) -> Callable[[], None]:
    """Return what is called behind each pair, of all pairs that many times, and tells how far it is."""
    count = len(scored.samples)
    total, done = times * count * (count + 1) // 2, itertools.count(1)
    tell(0, total)
    return lambda: tell(next(done), total)


def _of_moments(
    scored: ArraySummaries,
    held_out: HeldOutSummaries | None,
    indices: tuple[Index, ...],
    count: Callable[[], None],
) -> Numbers:
    """Return indices of moments of all ordered pairs."""
    names = list(scored.samples)
    numbers: Numbers = {}
    for number, source in enumerate(names):
        for target in names[number:]:
            numbers |= both_directions(Pair(scored, held_out, source, target, indices))
            count()
    return numbers


def _check_same_layers(scored: Mapping[str, Samples], fitted_on: Mapping[str, Samples]) -> None:
    expected = {name: block.shape[1:] for name, block in scored.items()}
    found = {name: block.shape[1:] for name, block in fitted_on.items()}
    if expected != found:
        raise RowsError(
            where="fit",
            expected=f"the representations' names and sample shapes {expected}",
            found=str(found),
            remedy="Pass the same layers on other samples.",
        )
