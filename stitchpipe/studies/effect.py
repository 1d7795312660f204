"""How strong a finding is: a number with its interval, and what the interval was taken over."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from scipy.stats import norm, t

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

Statistic: TypeAlias = "Callable[..., float]"
"""Of some arrays of one length."""
LEVEL: Final = 0.95
"""Of every interval."""
LEAST_UNITS: Final = 3
"""Of fewer units no spread can be told."""
MOST_GROUPS: Final = 20
"""In which units are left out of a statistic."""
MANY_NETWORKS: Final = 5
"""From so many target networks on a network is the unit, and no longer a layer."""
LAYER: Final = ["target_model", "target_layer"]
NETWORK: Final = ["target_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A number that says how strong a finding is.

    Attributes
    ----------
    what
        What the number is.
    value
        The number.
    low, high
        Its 95 % interval; None where there are too few units.
    unit, units
        What the interval was taken over, and how many there are: it speaks of more of the same kind. Layers of one
        network share weights, so an interval over layers says nothing of other networks.
    method
        How the interval was made.
    """

    what: str
    value: float
    low: float | None
    high: float | None
    unit: str
    units: int
    method: str

    def record(self) -> dict[str, Any]:
        """Return the effect as JSON-able values."""
        names = ("what", "value", "low", "high", "unit", "units", "method")
        return {name: getattr(self, name) for name in names} | {"level": LEVEL}

    def __str__(self) -> str:
        limits = "" if self.low is None or self.high is None else f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.what}: {f'{self.value:.3g}{limits}'.replace('-', '−')} over {self.units} {self.unit}"


def wilson(holds: float, cases: int) -> tuple[float, float]:
    """Return Wilson's limits for a share, ``holds / cases``; they lie in 0 … 1 and do not collapse at either end."""
    if cases == 0:
        return 0.0, 1.0
    z = float(norm.ppf((1 + LEVEL) / 2))
    share = holds / cases
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases))
    # At either end the limit is exact, and not what rounding leaves of the difference.
    low = 0.0 if holds == 0 else max(0.0, middle - half)
    return low, 1.0 if holds == cases else min(1.0, middle + half)


def unit_of(frame: pd.DataFrame) -> tuple[list[str], str]:
    """Return the columns that tell units apart, and their name: target networks if many, else target layers."""
    if frame["target_model"].nunique() >= MANY_NETWORKS:
        return NETWORK, "target networks"
    return LAYER, "target layers"


def share_of_targets(what: str, cases: pd.DataFrame, column: str) -> Effect:
    """Return the share of target layers for which something holds in any of their cases.

    Parameters
    ----------
    cases
        With ``target_model``, ``target_layer`` and a column of truths.
    """
    held = cases.groupby(LAYER, sort=False, observed=True)[column].any().reset_index()
    return share_of_cases(what, held, column)


def share_of_cases(what: str, cases: pd.DataFrame, column: str) -> Effect:
    """Return the share of cases for which something holds, as the mean over units of each unit's share.

    The limits are Wilson's for as many independent cases as there are units: several cases of one make it no surer.
    """
    keys, unit = unit_of(cases)
    shares = cases.groupby(keys, sort=False, observed=True)[column].mean().to_numpy(float)
    value = float(shares.mean()) if len(shares) else nan
    low, high = wilson(float(shares.sum()), len(shares))
    return Effect(
        what=what, value=value, low=low, high=high, unit=unit, units=len(shares), method="Wilson over units"
    )


def mean_of_units(
    what: str, cases: pd.DataFrame, column: str, *, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Effect:
    """Return the mean over units of each unit's mean, with Student's limits."""
    keys, unit = unit_of(cases)
    means = cases.groupby(keys, sort=False, observed=True)[column].mean().to_numpy(float)
    return mean_of(what, means, unit, bounds=bounds)


def mean_of(
    what: str,
    values: Sequence[float] | npt.NDArray[np.float64],
    unit: str,
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Effect:
    """Return the mean of one value for each unit, with Student's limits cut at `bounds`."""
    means = np.asarray(values, float)
    value = float(means.mean())
    if len(means) < LEAST_UNITS:
        return _without_limits(what, value, unit, len(means))
    half = float(t.ppf((1 + LEVEL) / 2, len(means) - 1) * means.std(ddof=1) / sqrt(len(means)))
    return Effect(
        what=what, value=value, low=max(value - half, bounds[0]), high=min(value + half, bounds[1]), unit=unit,
        units=len(means), method="Student's t over units",
    )  # fmt: skip


def jackknifed(
    what: str,
    frame: pd.DataFrame,
    columns: Sequence[str],
    statistic: Statistic,
    *,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Effect:
    """Return a statistic of some columns, with limits by leaving out units, see `unit_of`.

    For statistics that are smooth in their rows, such as rank correlations and areas under a curve; not for medians.
    Of more than `MOST_GROUPS` units, every so manieth are left out together.

    Parameters
    ----------
    statistic
        Of the columns as arrays; NaN where it is not defined.
    """
    keys, name = unit_of(frame)
    units = frame.groupby(keys, sort=False, observed=True).ngroup().to_numpy()
    return jackknifed_over(
        what, [frame[column].to_numpy() for column in columns], units, statistic, name, bounds
    )


def jackknifed_over(
    what: str,
    columns: Sequence[npt.NDArray[Any]],
    units: npt.NDArray[np.integer[Any]],
    statistic: Statistic,
    unit: str,
    bounds: tuple[float, float] = (-1.0, 1.0),
) -> Effect:
    """Return a statistic of arrays, with limits by leaving out units, which are numbered from 0; see `jackknifed`."""
    value = statistic(*columns)
    count = int(units.max()) + 1 if len(units) else 0
    groups = units % MOST_GROUPS
    n_groups = min(count, MOST_GROUPS)
    if n_groups < LEAST_UNITS or not isfinite(value):
        return _without_limits(what, value, unit, count)
    left = np.array(
        [statistic(*(column[kept] for column in columns)) for g in range(n_groups) for kept in (groups != g,)]
    )
    if not np.isfinite(left).all():
        return _without_limits(what, value, unit, count)
    error = sqrt((n_groups - 1) / n_groups * float(((left - left.mean()) ** 2).sum()))
    if error == 0 and value in bounds:
        # A statistic at its bound that no unit moves looks certain: as certain as that many units of a kind are.
        span = bounds[1] - bounds[0]
        low, high = (bounds[0] + span * limit for limit in wilson((value - bounds[0]) / span * count, count))
        return Effect(
            what=what,
            value=value,
            low=low,
            high=high,
            unit=unit,
            units=count,
            method="Wilson over units, at the bound",
        )
    half = float(t.ppf((1 + LEVEL) / 2, n_groups - 1)) * error
    return Effect(
        what=what, value=value, low=max(value - half, bounds[0]), high=min(value + half, bounds[1]), unit=unit,
        units=count, method="jackknife over units",
    )  # fmt: skip


def _without_limits(what: str, value: float, unit: str, units: int) -> Effect:
    return Effect(
        what=what, value=value, low=None, high=None, unit=unit, units=units, method="none: too few units"
    )
