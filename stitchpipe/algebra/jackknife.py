"""stub."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    low: float
    high: float
    standard_error: float
    groups: int


def jackknife(value, leave_one_out, group_sizes, level=0.95):
    loo = np.asarray(leave_one_out)
    G = len(loo)
    h = np.sum(group_sizes) / np.asarray(group_sizes)
    ps = h * value - (h - 1) * loo
    se = np.sqrt(np.mean((ps - ps.mean()) ** 2 / (h - 1)))
    return Interval(float(value - 2.09 * se), float(value + 2.09 * se), float(se), G)
