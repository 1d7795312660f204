"""Delete-a-group jackknife: intervals from what a statistic is without each group of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np

from stitchpipe.algebra.errors import RowsError, UndefinedIndexError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.measures import IntervalRule

FEWEST_GROUPS = 5
"""With fewer the t quantile says more about the number of groups than the groups say about the statistic."""

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Mergeable(Protocol):
    """A summary of some samples that can be merged with that of other samples."""

    def merge(self, other: Any, /) -> Any:
        """Return the summary of the samples of both."""


Part = TypeVar("Part", bound=Mergeable)


@dataclass(frozen=True, eq=False)
class Interval:
    """Confidence limits of statistics, arrays of one shape.

    Attributes
    ----------
    low, high
        Centre ∓ t·s, t of groups − 1 degrees of freedom. About the value, s is the standard error; about the estimate,
        √(standard_error² + (bias/groups)²). Not cut to the range of the statistic.
    estimate
        The value less its bias.
    standard_error
        Jackknife standard error.
    bias
        How much of the value is owed to the number of samples, as the jackknife estimates it. Limits about the estimate
        take it to be known to one part in `groups`: a rule of thumb, held by simulation (``DESIGN.md``).
    groups
        Their number.
    level
        Nominal coverage.
    """

    low: Floats
    high: Floats
    estimate: Floats
    standard_error: Floats
    bias: Floats
    groups: int
    level: float


def jackknife(
    value: Any,
    leave_one_out: Any,
    group_sizes: Any,
    *,
    level: float = 0.95,
    about: IntervalRule = "population",
) -> Interval:
    """Return confidence limits of statistics from their values without each of G groups.

    With m_j samples in group j, n = Σm_j, h_j = n/m_j, θ the value and θ₍ⱼ₎ that without group j, the estimate is
    θ_J = Gθ − Σ(1 − m_j/n)θ₍ⱼ₎ and its variance Σ(h_jθ − (h_j − 1)θ₍ⱼ₎ − θ_J)²/(h_j − 1)/G. For equal groups it is
    the usual (G − 1)/G·Σ(θ₍ⱼ₎ − mean)².

    Parameters
    ----------
    value
        ``[...]``, the statistics of all samples.
    leave_one_out
        ``[G, ...]``, those without each group.
    group_sizes
        ``[G]``, how many images are in each group. The image is the unit: all rows of one image belong to one group,
        and images must fall into groups by chance, not by class.
    level
        Nominal coverage, in (0, 1).
    about
        ``"population"``: limits about θ_J, for the value that ever more samples would tend to. ``"sample"``: limits
        about θ, for the mean of the values that samples of this size have; for statistics without such a limit
        (mutual k-NN with k fixed), or not smooth in it (mean CCA, Procrustes, where correlations are near 0).

    Raises
    ------
    RowsError
        Shapes that do not belong together, groups without images, a level outside (0, 1).
    UndefinedIndexError
        ``too_few_groups`` (G < 5); ``undefined_without_a_group``: a statistic is not finite. Leave out the columns
        of what is undefined before calling, and give those the status of the statistic itself.

    Notes
    -----
    Time and memory O(G) for each statistic. Coverage seen in simulations stands in ``DESIGN.md``. Quenouille 1956;
    Busing, Meijer and van der Leeden 1999 (unequal groups).
    """
    whole, without = np.asarray(value, dtype=np.float64), np.asarray(leave_one_out, dtype=np.float64)
    sizes = np.asarray(group_sizes, dtype=np.float64)
    _check(whole, without, sizes, level)
    groups = len(sizes)
    # After Busing et al. (1999), written with differences from the value, so that nothing cancels where groups hardly
    # matter. The factors h_j = n/m_j take a shape that broadcasts along the axes of the statistics.
    h = (sizes.sum() / sizes).reshape(-1, *([1] * whole.ndim))
    moved = (h - 1.0) * (whole - without)
    # With θ the value, (h_j − 1)/h_j = 1 − m_j/n, so this is −Σ(1 − m_j/n)(θ − θ₍ⱼ₎), and θ less the bias
    # is θ_J.
    bias = -(moved / h).sum(axis=0)
    # The pseudo-value h_jθ − (h_j − 1)θ₍ⱼ₎ is θ plus what was moved. Less θ_J, the value itself falls out
    # of the difference.
    squares = (moved + bias) ** 2 / (h - 1.0)
    error = np.sqrt(squares.sum(axis=0) / groups)
    from scipy.special import stdtrit  # noqa: PLC0415 - a quarter of a second, which no query should cost

    estimate = whole - bias
    is_of_limit = about == "population"
    centre = estimate if is_of_limit else whole
    # Where the bias is many standard errors, what is left of it and what its own estimate varies by are not small
    # beside them, and the pseudo-values see neither.
    around = np.hypot(error, bias / groups) if is_of_limit else error
    half = float(stdtrit(groups - 1, 0.5 + 0.5 * level)) * around
    return Interval(centre - half, centre + half, estimate, error, bias, groups, level)


def leave_one_out(parts: Sequence[Part]) -> list[Part]:
    """Return the summary of all parts but one, for each part; nothing is subtracted, so no digits are lost.

    Prefixes and suffixes are merged once each: 3(G − 2) merges for G ≥ 2 parts.
    """
    if len(parts) < 2:
        raise UndefinedIndexError(
            status="too_few_groups",
            where="jackknife",
            expected="at least 2 groups, so that something is left without one",
            found=f"{len(parts)}",
            remedy="Cut the samples into more groups.",
        )
    # The k-th entry of `before` is the summary of the first k + 1 parts. That of `after`, once reversed, is
    # the summary of the parts from one place on to the end.
    before, after = [parts[0]], [parts[-1]]
    for first, last in zip(parts[1:-1], reversed(parts[1:-1]), strict=True):
        before.append(before[-1].merge(first))
        after.append(after[-1].merge(last))
    after.reverse()
    # A part in the middle is left out by merging all before it with all behind it.
    between = [prefix.merge(suffix) for prefix, suffix in zip(before[:-1], after[1:], strict=True)]
    return [after[0], *between, before[-1]]


def _check(value: Floats, without: Floats, sizes: Floats, level: float) -> None:
    if sizes.ndim != 1 or without.shape != (*sizes.shape, *value.shape):
        raise RowsError(
            where="jackknife",
            expected=f"leave-one-out values of shape (G, *{value.shape}) and G group sizes",
            found=f"shapes {without.shape} and {sizes.shape}",
            remedy="Put the groups first, in the order of their sizes.",
        )
    if not (sizes > 0).all() or not 0.0 < level < 1.0:
        raise RowsError(
            where="jackknife",
            expected="groups of at least 1 image and a level between 0 and 1",
            found=f"a smallest group of {sizes.min(initial=0):g} and level {level!r}",
            remedy="Leave empty groups out.",
        )
    if len(sizes) < FEWEST_GROUPS:
        raise UndefinedIndexError(
            status="too_few_groups",
            where="jackknife",
            expected=f"at least {FEWEST_GROUPS} groups",
            found=f"{len(sizes)}",
            remedy="Cut the samples into more groups; twenty are usual.",
        )
    finite = np.isfinite(without).all(axis=0) & np.isfinite(value)
    if not finite.all():
        raise UndefinedIndexError(
            status="undefined_without_a_group",
            where="jackknife",
            expected="statistics that are defined with and without each group",
            found=f"{int((~finite).sum())} that are not",
            remedy="Use larger groups, or leave these statistics without an interval.",
        )
