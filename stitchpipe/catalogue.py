"""Results in long form: one record per number, kept as Parquet parts, queried as the table ``results``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One number, always directed, with everything that is needed to know what it is.

    ``status`` is ``ok``, or names why there is no number; then ``value`` is None and ``reason`` says more.
    """

    index: str
    value: float | None
    status: str = "ok"
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
    method: str | None = None
    init: str | None = None
    objective: str | None = None
    seed: int | None = None
    steps: int | None = None
    final_loss: float | None = None
    source_digest: str
    target_digest: str
