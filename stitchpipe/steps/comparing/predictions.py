"""How far models agree in what they predict: from the logits that every dump stores beside its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.indices.agreement import PredictionSums
from stitchpipe.config import ConfigError, NetworkModel
from stitchpipe.graph import LOGITS
from stitchpipe.measures import Number
from stitchpipe.results import Result, Side, Subject, table_of_records
from stitchpipe.rows import grid_label
from stitchpipe.run import run_keys
from stitchpipe.run.activations import StoredActivations
from stitchpipe.run.names import TEST, LayerName
from storage import NotFoundError, Representation

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from stitchpipe.config import Compare
    from stitchpipe.results import Held
    from stitchpipe.run import Run

AGREEMENT = "agreement"
"""The index of pairs of models."""


def prediction_keys(run: Run, table: Compare) -> dict[tuple[str, str], str]:
    """Return the key of each pair of models that have logits; none where a table does not ask for agreement."""
    if AGREEMENT not in table.indices:
        return {}
    return run_keys.prediction_keys(_logits(run), view=table.view, index=AGREEMENT)


def compare_predictions(run: Run, table: Compare, held: Held) -> pa.Table:
    """Return the agreement of all pairs of models that is not among what is `held` already.

    Models that were ingested without logits have no part in it.

    Raises
    ------
    storage.StoreError
        Logits are damaged.
    """
    keys = prediction_keys(run, table)
    there = held.has(AGREEMENT, np.array([int(key, 16) for key in keys.values()], np.uint64))
    keys = {
        pair: key for (pair, key), is_held in zip(keys.items(), there.tolist(), strict=True) if not is_held
    }
    if not keys:
        return table_of_records([])
    logits = _logits(run)
    values = {model: stored.read_rows(np.arange(stored.shape[0])) for model, stored in logits.items()}
    sides = {  # logits come behind all layers
        model: Side(model, LOGITS, values[model].shape[1], stored.digest, depth=len(run.layers.of(model)))
        for model, stored in logits.items()
    }
    results = []
    for (source, target), key in keys.items():
        subject = Subject(
            source=sides[source],
            target=sides[target],
            view=table.view,
            grid=grid_label(()),
            split=TEST,
            n_samples=len(values[source]),
            n_rows=len(values[source]),
            key=key,
        )
        results.append(Result(AGREEMENT, _agreement(values[source], values[target]), subject).columns())
    return table_of_records(results)


def _agreement(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Number:
    try:
        return Number(PredictionSums.from_block(x, y).agreement)
    except UndefinedIndexError as undefined:
        return Number.missing(undefined.status, undefined.reason)


def _logits(run: Run) -> dict[str, Representation]:
    """Return the stored logits of every model that has them, on the test split."""
    activations = run.activations
    if not isinstance(activations, StoredActivations):
        return {}
    logits = {}
    for model in run.sweep.models:
        if model.name in run.layers.headless:
            continue
        try:
            logits[model.name] = activations.layer(LayerName(model.name, LOGITS), TEST)
        # An ingested model may have come without logits. A classifier always has them, so there it is a fault.
        except (ConfigError, NotFoundError):
            if isinstance(model, NetworkModel):
                raise
    return logits
