"""Sums over minibatches, kept as work in progress: formed while networks ran, and taken up by the comparison."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.minibatch import MinibatchHSIC
from storage import WORK

if TYPE_CHECKING:
    from storage import Summaries


def has_batches(summaries: Summaries, key: str) -> bool:
    """Return whether the sums under a key are kept."""
    return summaries.read_or_none(WORK, key, []) is not None


def keep_batches(summaries: Summaries, key: str, total: MinibatchHSIC | None) -> None:
    """Keep the sums over the batches of some images; None where there was no batch."""
    sums = {} if total is None else asdict(total)
    arrays = {name: value for name, value in sums.items() if isinstance(value, np.ndarray)}
    counts = {name: value for name, value in sums.items() if name not in arrays}
    summaries.write(WORK, key, arrays, counts, durable=False)


def read_batches(summaries: Summaries, key: str) -> MinibatchHSIC | None:
    """Return what `keep_batches` kept."""
    found = summaries.read(WORK, key)
    if not found.content:
        return None
    counts, sums = found.content, found.arrays
    return MinibatchHSIC(
        counts["n"], counts["batches"], sums["hsic"], sums["kernel_squares"], sums["mean_squares"]
    )
