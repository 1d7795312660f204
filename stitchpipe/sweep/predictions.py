"""How far models agree in what they predict: from the logits that every dump stores beside its layers."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.agreement import PredictionSums
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.config import ConfigError, NetworkModel
from stitchpipe.graph import LOGITS
from stitchpipe.measures import Number
from stitchpipe.results import Result, Side, Subject
from stitchpipe.rows import grid_label
from stitchpipe.sweep.ends import ALGEBRA_VERSION, open_representation
from stitchpipe.sweep.folder import key_of, opened_store
from stitchpipe.sweep.jobs import LayerName
from stitchpipe.sweep.networks import TEST
from storage import NotFoundError, Representation

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy.typing as npt

    from stitchpipe.config import Compare, Sweep
    from stitchpipe.sweep.folder import Folder

AGREEMENT = "agreement"
"""The index of pairs of models."""


def prediction_keys(sweep: Sweep, folder: Folder, table: Compare) -> dict[tuple[str, str], str]:
    """Return the key of each pair of models that have logits; none where a table does not ask for agreement."""
    if AGREEMENT not in table.indices:
        return {}
    found = _logits(sweep, folder)
    sides = {model: (model, one.digest, one.sample_digest) for model, one in found.items()}
    rest = (table.view, AGREEMENT, ALGEBRA_VERSION)
    return {(x, y): key_of(sides[x], sides[y], *rest) for x, y in product(sides, sides)}


def compare_predictions(
    sweep: Sweep, folder: Folder, table: Compare, held: Mapping[str, Collection[str]]
) -> list[Result]:
    """Return the agreement of all pairs of models that is not among what is `held` already.

    Models that were ingested without logits have no part in it.

    Raises
    ------
    storage.StoreError
        Logits are damaged.
    """
    keys = {pair: key for pair, key in prediction_keys(sweep, folder, table).items() if key not in held}
    if not keys:
        return []
    logits = _logits(sweep, folder)
    values = {model: one.read_rows(np.arange(one.shape[0])) for model, one in logits.items()}
    sides = {model: Side(model, LOGITS, values[model].shape[1], one.digest) for model, one in logits.items()}
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
        results.append(Result.of(AGREEMENT, _agreement(values[source], values[target]), subject))
    return results


def _agreement(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Number:
    try:
        return Number(PredictionSums.from_block(x, y).agreement)
    except UndefinedIndexError as undefined:
        return Number.missing(undefined.status, undefined.reason)


def _logits(sweep: Sweep, folder: Folder) -> dict[str, Representation]:
    """Return the stored logits of every model that has them, on the test split."""
    store = opened_store(sweep, folder)
    found = {}
    for model in sweep.models:
        try:
            found[model.name] = open_representation(sweep, folder, store, LayerName(model.name, LOGITS), TEST)
        except (ConfigError, NotFoundError):
            if isinstance(model, NetworkModel):
                raise
    return found
